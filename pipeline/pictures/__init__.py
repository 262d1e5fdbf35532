"""Pictures of cases, scores and training, and the page that shows them; the only room that imports matplotlib and PIL."""
