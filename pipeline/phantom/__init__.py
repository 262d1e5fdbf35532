"""The generated cohort: anatomy, tumour growth, contrast. Arrays in, arrays out."""
