// The reader's choice of light or dark, kept for the next page where the browser allows it.
const root = document.documentElement;
const button = document.querySelector("button.theme");
const dark = matchMedia("(prefers-color-scheme: dark)");
let chosen = null;
try { chosen = localStorage.getItem("theme"); } catch (error) { /* files may not store */ }

function show() {
  if (chosen) root.dataset.theme = chosen;
  const isDark = (chosen || (dark.matches ? "dark" : "light")) === "dark";
  button.textContent = isDark ? "Light colours" : "Dark colours";
}
button.addEventListener("click", () => {
  chosen = button.textContent.startsWith("Dark") ? "dark" : "light";
  try { localStorage.setItem("theme", chosen); } catch (error) { /* for this page alone, then */ }
  show();
});
dark.addEventListener("change", show);
button.hidden = false;
show();
