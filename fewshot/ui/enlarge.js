// A click on a picture of a gallery shows it large, another or Escape closes that. Gradio, asked for
// no preview, would take the picture for chosen, and the tools from its gallery for good.
if (!globalThis.enlarged) {
  const dialog = (globalThis.enlarged = document.createElement("dialog"));
  dialog.className = "enlarged";
  dialog.innerHTML =
    '<button type="button" aria-label="Close">×</button><figure><img><figcaption></figcaption></figure>';
  const [picture, caption] = ["img", "figcaption"].map((part) => dialog.querySelector(part));
  dialog.addEventListener("click", () => dialog.close());
  document.addEventListener(
    "click",
    (event) => {
      const chosen = event.target.closest?.(".pictures .thumbnail-item");
      const shown = chosen?.querySelector("img");
      if (!shown) return;
      event.stopPropagation();
      const name = decodeURIComponent(shown.src.split("/").pop());
      picture.src = shown.src;
      picture.alt = caption.textContent = name;
      dialog.setAttribute("aria-label", `${chosen.getAttribute("aria-label")}: ${name}`);
      chosen.closest(".gradio-container").append(dialog); // within what the style sheet goes for
      chosen.focus({ preventScroll: true }); // which some browsers do not, and where it goes back to
      dialog.showModal();
    },
    true,
  );
}
