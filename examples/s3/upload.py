"""
Puts a folder with a model's versions into the demo's S3 store.

    python upload.py http://ADDRESS:7070 models/mnist BUCKET
"""

import sys
from pathlib import Path

import s3fs

KEY, SECRET = "modeldeploy", "modeldeploy-demo"


def main() -> None:
    """
    Upload the folder that the command line names, below its own name.
    """
    endpoint, folder, bucket = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    store = s3fs.S3FileSystem(key=KEY, secret=SECRET, client_kwargs={"endpoint_url": endpoint})
    if not store.exists(bucket):
        store.mkdir(bucket)
    store.put(str(folder), f"{bucket}/", recursive=True)
    print(f"{len(store.find(f'{bucket}/{folder.name}'))} files are in s3://{bucket}/{folder.name}.")


if __name__ == "__main__":
    main()
