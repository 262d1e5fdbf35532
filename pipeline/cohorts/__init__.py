"""One file per source of cases, their registry, and what fetches and unpacks them."""
