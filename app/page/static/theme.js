/** The chosen colours, before anything is painted. */
document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "";
