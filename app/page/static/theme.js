/** The chosen colours, before anything is painted. */
document.documentElement.style.colorScheme = localStorage.theme ?? "";
