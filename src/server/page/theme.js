// The colours that the user chose, before anything is drawn: the one script that is no module, and does not wait.
// SPDX-License-Identifier: MIT
(() => {
  try {
    const theme = localStorage.getItem("peridot.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // a browser that keeps nothing: as the system has it
  }
})();
