// Returns once no picture and no drawing is on its way to the galleries of #given.
async () => {
  const given = document.querySelector("#given");
  const coming = () => globalThis.uploads > 0 || given.querySelector("canvas.sending")
    || given.querySelector(".pictures .progress-text"); // which Gradio hides, but puts there
  while (coming()) {
    given.classList.add("waiting");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  given.classList.remove("waiting");
}
