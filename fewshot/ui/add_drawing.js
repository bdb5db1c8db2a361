// The pad's new value, empty, and the gallery with the drawing at its end. In the browser, where
// nothing is lost of what arrives in the time that an answer of the server would take.
(drawn, gallery) => ["", [...(gallery ?? []), { image: drawn, caption: null }]]
