// Lo que las páginas hacen: recorrer una secuencia paso a paso, ampliar una figura y mostrar la
// definición de un término. Sin esto se leen igual: el último paso, la figura y el enlace.
"use strict";

// Desde el disco no se puede pedir el texto de otra página: la búsqueda va sin resúmenes.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// Secuencias: botones, deslizador y flechas del teclado.
for (const steps of document.querySelectorAll(".pasos")) {
  const frames = [...steps.children];
  const controls = document.createElement("div");
  controls.className = "pasos-mando";
  controls.innerHTML =
    '<button type="button">Anterior</button>' +
    `<input type="range" min="1" max="${frames.length}" aria-label="Paso">` +
    '<button type="button">Siguiente</button><output></output>';
  const [back, slider, next, label] = controls.children;
  const show = (k) => {
    const step = Math.min(Math.max(k, 1), frames.length);
    frames.forEach((frame, i) => frame.classList.toggle("paso-visible", i === step - 1));
    slider.value = step;
    label.textContent = `${step} de ${frames.length}`;
    back.disabled = step === 1;
    next.disabled = step === frames.length;
  };
  back.addEventListener("click", () => show(+slider.value - 1));
  next.addEventListener("click", () => show(+slider.value + 1));
  slider.addEventListener("input", () => show(+slider.value));
  const load = () => { for (const image of steps.querySelectorAll("img")) image.loading = "eager"; };
  for (const event of ["pointerenter", "focusin"]) controls.addEventListener(event, load, { once: true });
  steps.append(controls);
  steps.classList.add("activo");
  show(1);
}

// Lo que es más ancho que la pantalla se recorre también con el teclado. Se mide al acercarse:
// medirlo todo al abrir obligaría a componer la página entera.
const near = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting && target.scrollWidth > target.clientWidth) target.tabIndex = 0;
  }
}, { rootMargin: "300px" });
const wide = ".katex-display, pre, .cell_output > .output, .pst-scrollable-table-container";
for (const box of document.querySelectorAll(wide)) near.observe(box);

// Figuras: se amplían con un clic, con Enter o con la barra espaciadora, y se cierran igual o con Escape.
const dialog = document.createElement("dialog");
dialog.className = "ampliada";
dialog.setAttribute("aria-label", "Figura ampliada");
dialog.addEventListener("click", () => dialog.close());
document.body.append(dialog);
for (const image of document.querySelectorAll(".cell_output img, .bd-article figure img")) {
  image.classList.add("ampliable");
  image.tabIndex = 0;
  image.setAttribute("role", "button");
  image.setAttribute("aria-label", `Ampliar la figura: ${image.alt}`);
  const open = () => {
    const copy = new Image();
    copy.src = image.src;
    copy.alt = image.alt;
    dialog.replaceChildren(copy);
    dialog.showModal();
  };
  image.addEventListener("click", open);
  image.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      open();
    }
  });
}
dialog.addEventListener("keydown", (event) => {
  if (["Enter", " ", "Escape"].includes(event.key)) dialog.close();
});

// Términos del glosario: la definición, al pasar el puntero o al llegar con el teclado.
const note = document.createElement("div");
note.className = "definicion";
note.id = "definicion";
note.setAttribute("role", "tooltip");
note.hidden = true;
document.body.append(note);
const hide = () => { note.hidden = true; };
for (const link of document.querySelectorAll("a.reference[href*='glosario.html#'][title]")) {
  const definition = link.title;
  link.removeAttribute("title");
  link.setAttribute("aria-describedby", "definicion");
  const show = () => {
    note.textContent = definition;
    note.hidden = false;
    const box = link.getBoundingClientRect();
    const left = Math.min(box.left, document.documentElement.clientWidth - note.offsetWidth - 8);
    note.style.left = `${Math.max(8, left) + scrollX}px`;
    note.style.top = `${box.bottom + 6 + scrollY}px`;
  };
  link.addEventListener("mouseenter", show);
  link.addEventListener("focus", show);
  link.addEventListener("mouseleave", hide);
  link.addEventListener("blur", hide);
}
document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
