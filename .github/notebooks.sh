#!/usr/bin/env bash
# Empuja los cuadernos construidos, con su entorno para Binder, a la rama `notebooks` del
# repositorio $1: es la rama que abren los botones de cada capítulo (web/doors.py).
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp _build/html/notebooks/*.ipynb LICENSE "$folder"
mkdir "$folder/binder"
{
  echo '--extra-index-url https://download.pytorch.org/whl/cpu'
  grep -o '^torch==[^ ]*' requirements.txt | sed 's/$/+cpu/'   # sin CUDA: una imagen pequeña
  grep -oE '^(numpy|matplotlib|scikit-learn)==[^ ]*' requirements.txt
} > "$folder/binder/requirements.txt"
echo 'python-3.11' > "$folder/binder/runtime.txt"
cd "$folder"
git init --quiet --initial-branch notebooks
git add .
git -c user.name='Publicación' -c user.email='noreply@github.com' commit --quiet -m 'Cuadernos construidos'
git push --quiet --force "$1" notebooks
