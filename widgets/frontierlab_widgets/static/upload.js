// Upload a file from the user's machine. Files that are too large are not sent: the notebook's websocket would fail.

function render({ model, el }) {
  const field = document.createElement("input");
  field.type = "file";
  field.accept = model.get("accept");
  field.setAttribute("aria-label", model.get("label"));
  field.addEventListener("change", async () => {
    const [file] = field.files;
    if (!file) return;
    const about = { name: file.name, size: file.size };
    model.send(about); // the kernel refuses a large file, and notices if the content does not arrive
    if (file.size <= model.get("most")) {
      try {
        model.send(about, undefined, [await file.arrayBuffer()]);
      } catch (error) {
        model.send({ ...about, unreadable: `${error}` });
      }
    }
    field.value = ""; // the same file can be chosen again
  });
  const disable = () => { field.disabled = model.get("disabled"); };
  model.on("change:disabled", disable);
  disable();
  el.append(field);
}

export default { render };
