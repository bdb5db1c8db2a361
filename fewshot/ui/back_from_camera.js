// Behind the camera, the sign for uploads leads back to the pictures that a gallery has. Gradio
// would stay with an empty field, and take what is uploaded there in their place.
if (!globalThis.backFromCamera) {
  globalThis.backFromCamera = true;
  const sign = ".pictures .source-selection > button:first-child";
  document.addEventListener(
    "click",
    (event) => {
      const gallery = event.target.closest?.(sign)?.closest(".pictures");
      if (gallery) setTimeout(() => document.getElementById(`${gallery.id}-again`).click());
    },
    true,
  );
}
