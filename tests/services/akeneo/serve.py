"""serve.py PORT DATABASE: see `serve`."""

import sys

import uvicorn
from akeneo_mock_server.database import ensure_db_exists

port, database = sys.argv[1:]
# init_db() alone would empty what a server that was killed had held.
ensure_db_exists(database)
uvicorn.run("akeneo_mock_server.app:app", host="127.0.0.1", port=int(port))
