// A file from the reader's machine. One that is too large is refused here: the notebook's socket would give up on it.

function render({ model, el }) {
  const field = document.createElement("input");
  field.type = "file";
  field.accept = model.get("accept");
  field.setAttribute("aria-label", model.get("label"));
  field.addEventListener("change", async () => {
    const [file] = field.files;
    if (!file) return;
    if (file.size > model.get("most")) {
      model.send({ name: file.name, size: file.size });
    } else {
      model.send({ name: file.name, size: file.size }, undefined, [await file.arrayBuffer()]);
    }
    field.value = ""; // the same file can be chosen again
  });
  const disable = () => { field.disabled = model.get("disabled"); };
  model.on("change:disabled", disable);
  disable();
  el.append(field);
}

export default { render };
