// The page "Add data": when a dropped file is stored, its preview opens.
const place = document.getElementById("ingest");

place?.addEventListener("insjo-upload-done", (event) => {
  const [first] = event.detail.paths ?? [];
  if (first) location.assign(place.dataset.next + encodeURIComponent(first));
});
