"""Makes the data set: plans a query, puts it into words, and hides its columns among many others."""
