# make book construye el libro; make test lo construye y corre todas las pruebas; make help, el resto.

PYTHON ?= python3
# Ruedas de torch sin CUDA. Con una placa NVIDIA: make book TORCH_INDEX=https://download.pytorch.org/whl/cu130
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
BIN := .venv/bin
SPHINX := $(BIN)/jupyter-book build . -W -n --keep-going

OFFLINE := _build/aprendizaje-profundo-basado-en-la-fisica

BENCH := _build/bench-venv

.PHONY: help book test serve chapter profile offline pdf mutants robust reproducible bench bench-speed clean lock

help:
	@echo 'make book                 prepara el entorno, construye el libro y dice qué página abrir'
	@echo 'make test                 lo mismo, y después corre todas las pruebas'
	@echo 'make serve                sirve el libro en http://localhost:8000 y lo renueva al guardar'
	@echo 'make chapter C=book/X.md  ejecuta un capítulo solo, en una carpeta vacía'
	@echo 'make profile              muestra las celdas que más costaron, sin ejecutarlas de nuevo'
	@echo 'make bench-speed          mide cuánto cuesta construir el libro, en menos de 25 minutos'
	@echo 'make offline              deja en un zip el sitio y los cuadernos, para leer sin conexión'
	@echo 'make pdf                  deja el libro entero en _build/libro.pdf'
	@echo 'make reproducible         construye el libro dos veces, sin nada ejecutado, y compara'
	@echo 'make mutants              mide qué parte de los errores de código atrapan los capítulos (C=, N=, SEED=)'
	@echo 'make robust               ejecuta los capítulos con otras semillas y otras máquinas (C=, N=, SEEDS="...")'
	@echo 'make bench                mide lo que falte de la comparación con DeepXDE (apéndice «Mediciones»)'
	@echo 'make bench QUICK=1        mide una parte en menos de cinco minutos, sin guardarla en el libro'
	@echo 'make bench REPEAT=1       vuelve a medir todo, en una hora'
	@echo 'make clean                borra lo construido y el entorno'
	@echo 'make lock                 vuelve a resolver requirements.lock (mantenimiento)'

.venv/ready: requirements.txt requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Hace falta Python 3.11 o más nuevo: make PYTHON=/ruta/a/python3.11 book' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
		{ echo 'Falta el módulo venv de Python. En Debian: apt install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --no-compile --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-compile --retries 1 --index-url $(TORCH_INDEX) $$(grep -o '^torch==[^ ]*' requirements.txt)
	@$(BIN)/python -m compileall -qq -j 0 .venv/lib || true  # con todos los núcleos; pip usa uno
	@touch $@

book: .venv/ready
	@$(SPHINX)
	@echo "El libro está en file://$(abspath _build/html/index.html)"

test: offline
	@folder=$$(mktemp -d); \
	for notebook in _build/html/notebooks/*.ipynb; do \
		name=$$(basename $$notebook .ipynb); mkdir $$folder/$$name; cp $$notebook $$folder/$$name/; done; \
	$(BIN)/pytest -c tests/pytest.ini --rootdir . tests $$folder; status=$$?; rm -r $$folder; exit $$status

serve: .venv/ready
	@$(BIN)/python web/serve.py

chapter: .venv/ready
	@test -f "$(C)" || { echo 'Falta el capítulo: make chapter C=book/02-grafo-computacional.md' >&2; exit 1; }
	@$(BIN)/python web/execution.py $(C)

profile: .venv/ready
	@$(BIN)/python web/execution.py

bench-speed: .venv/ready
	@$(BIN)/python bench/speed.py

offline: book
	@$(BIN)/python -c "import shutil; print(shutil.make_archive('$(OFFLINE)', 'zip', '_build', 'html'))"

pdf: book
	@$(BIN)/python web/browser.py
	@$(SPHINX) --builder singlehtml
	@$(BIN)/python web/pdf.py

reproducible: .venv/ready
	@$(BIN)/python tests/reproducible.py

mutants: .venv/ready
	@$(BIN)/python tests/mutants.py --count $(or $(N),60) --seed $(or $(SEED),0) $(C)

robust: .venv/ready
	@$(BIN)/python tests/robust.py --count $(or $(N),4) --seeds "$(SEEDS)" $(C)

$(BENCH)/ready: bench/requirements.txt
	$(PYTHON) -m venv --clear $(BENCH)
	$(BENCH)/bin/pip install --quiet --retries 1 --index-url $(TORCH_INDEX) $$(grep -o '^torch==[^ ]*' $<)
	$(BENCH)/bin/pip install --quiet -r $<
	@touch $@

bench: $(BENCH)/ready
	@OMP_NUM_THREADS=1 $(BENCH)/bin/python bench/run.py $(if $(QUICK),--quick) $(if $(REPEAT),--repeat)

clean:
	rm -rf _build .venv

# torch queda fuera de las huellas (su rueda sin CUDA es otra que la de los demás índices); sus dependencias, no.
lock: .venv/ready
	$(BIN)/pip install --quiet uv==0.13.8
	{ grep -v '^torch==' requirements.txt; \
	  $(BIN)/python -c "from importlib.metadata import requires; print(*(r for r in requires('torch') if 'extra' not in r and 'nvidia' not in r), sep='\n')"; } \
	| $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header - -o requirements.lock
