// Closes the films for readers who prefer no motion.
if (matchMedia("(prefers-reduced-motion: reduce)").matches)
  for (const film of document.querySelectorAll("details.moving")) film.open = false;
