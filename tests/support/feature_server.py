"""A small server that behaves as an ArcGIS FeatureServer does, its bad habits included."""

import json
import sqlite3
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

Row = dict[str, Any]
Answer = tuple[int, dict[str, Any], dict[str, str]]
SERVICE = "/arcgis/rest/services/Parcels/FeatureServer"
_SQL_TYPES = {"esriFieldTypeString": "TEXT", "esriFieldTypeDouble": "REAL"}


class FeatureServer:
    """One layer, `Parcels_and_Assess`, with rows in SQLite; geometries are kept beside them by OBJECTID."""

    def __init__(self, fields: dict[str, str], *, max_record_count: int = 2_000, epsg: int = 2927) -> None:
        self.fields = {"OBJECTID": "esriFieldTypeOID", **fields}
        self.max_record_count = max_record_count
        self.epsg = epsg
        self.geometries: dict[int, dict[str, Any]] = {}
        self.token: str | None = None
        self.edited: int | None = 1
        self.answers: list[Answer | None] = []
        """Given instead of the next answers; null: the usual one."""
        self.on_page: Callable[[int], None] | None = None
        """Called with its offset before a page is read."""
        self.says_when_cut_off = True
        self.gives_at_most: int | None = None
        """Rows after which pages are empty, whatever is there."""
        self.heeds_offset = True
        self.asked: list[dict[str, str]] = []
        self._rows = sqlite3.connect(":memory:", check_same_thread=False)
        self._rows.row_factory = sqlite3.Row
        columns = ", ".join(f"{name} {_SQL_TYPES.get(kind, 'INTEGER')}" for name, kind in fields.items())
        self._rows.execute(f"CREATE TABLE layer (OBJECTID INTEGER PRIMARY KEY, {columns})")
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, name="feature server", daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{SERVICE}"

    def add(self, rows: list[Row]) -> None:
        names = list(self.fields)
        places = ", ".join("?" * len(names))
        with self._lock:
            values = [[row.get(name) for name in names] for row in rows]
            self._rows.executemany(f"INSERT INTO layer ({', '.join(names)}) VALUES ({places})", values)

    def execute(self, statement: str) -> None:
        with self._lock:
            self._rows.execute(statement)

    def answer(self, path: str, form: dict[str, str]) -> Answer:
        with self._lock:
            self.asked.append(form)
            planned = self.answers.pop(0) if self.answers else None
            if planned is not None:
                return planned
            if self.token is not None and form.get("token") != self.token:
                return 200, {"error": {"code": 499, "message": "Token Required", "details": []}}, {}
            if path == SERVICE:
                return 200, {"currentVersion": 11.1, "layers": [{"id": 0, "name": "Parcels_and_Assess"}]}, {}
            if path == f"{SERVICE}/0":
                return 200, self._layer(), {}
            if path == f"{SERVICE}/0/query":
                return 200, self._query(form), {}
            return 404, {}, {}

    def _layer(self) -> dict[str, Any]:
        return {
            "id": 0,
            "name": "Parcels_and_Assess",
            "fields": [{"name": name, "type": kind} for name, kind in self.fields.items()],
            "objectIdField": "OBJECTID",
            "geometryType": "esriGeometryPolygon",
            "maxRecordCount": self.max_record_count,
            "extent": {"spatialReference": {"wkid": 102749, "latestWkid": self.epsg}},
            "advancedQueryCapabilities": {"supportsPagination": True},
            "editingInfo": {"lastEditDate": self.edited} if self.edited else {},
        }

    def _query(self, form: dict[str, str]) -> dict[str, Any]:
        where = form["where"]
        if "returnCountOnly" in form:
            return {"count": self._rows.execute(f"SELECT count(*) FROM layer WHERE {where}").fetchone()[0]}
        if "returnIdsOnly" in form:
            ids = self._rows.execute(f"SELECT OBJECTID FROM layer WHERE {where}").fetchall()
            return {"objectIdFieldName": "OBJECTID", "objectIds": [row[0] for row in ids]}
        try:
            return self._page(form)
        except sqlite3.Error as error:
            return {"error": {"code": 400, "message": f"Unable to perform query: {error}", "details": []}}

    def _page(self, form: dict[str, str]) -> dict[str, Any]:
        offset = int(form["resultOffset"])
        if self.on_page:
            self.on_page(offset)
        size = min(int(form["resultRecordCount"]), self.max_record_count)
        there = offset if self.heeds_offset else 0
        if self.gives_at_most is not None:
            size = max(0, min(size, self.gives_at_most - offset))
        rows = self._rows.execute(
            f"SELECT {form['outFields']} FROM layer WHERE {form['where']} ORDER BY {form['orderByFields']}"
            f" LIMIT {size + 1} OFFSET {there}"
        ).fetchall()
        features = [
            {"attributes": dict(row)}
            | ({"geometry": self.geometries.get(row["OBJECTID"])} if form["returnGeometry"] == "true" else {})
            for row in rows[:size]
        ]
        is_cut_off = len(rows) > size and self.says_when_cut_off
        return {"features": features, "spatialReference": {"wkid": 102749, "latestWkid": self.epsg}} | (
            {"exceededTransferLimit": True} if is_cut_off else {}
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._rows.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, found, headers = answer(self.path, {k: v[0] for k, v in parse_qs(body).items()})
                data = json.dumps(found).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the base class names it so
                pass

        return Handler
