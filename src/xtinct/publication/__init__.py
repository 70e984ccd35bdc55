"""A build as one folder for Zenodo, the Hugging Face Hub, or anybody with a reader of Parquet."""
