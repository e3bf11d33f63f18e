"""The Python client of the gateway: `pip install terrafusion[cli]`, then `TerraFusion(url).login(...)`."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import httpx

from contracts.api.jobs import Job, JobResult
from contracts.subjects import JobKind

_WAIT_SECONDS = 0.2
_RETRY_STATUSES = frozenset({429, 502, 503, 504})
_TRIES = 5


class GatewayError(Exception):
    """The gateway refused: `code` is for programs, the text for people."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("code", "unknown"))
        self.problem = dict(problem)
        fields = "; ".join(f"{e.get('field')}: {e.get('message')}" for e in problem.get("errors", []))
        super().__init__(
            f"{problem.get('detail') or problem.get('title')} ({self.code})" + (f": {fields}" if fields else "")
        )


class JobFailedError(Exception):
    """A job that was waited for ended without a result."""

    def __init__(self, job: Job) -> None:
        self.job = job
        reason = f"{job.error.code}: {job.error.message}" if job.error else job.status.value
        super().__init__(f"{job.kind} job {job.id} {job.status}: {reason}")


class TerraFusion:
    """One caller's view of a gateway."""

    def __init__(self, url: str, *, token: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        self._http = httpx.Client(base_url=url, headers=dict(headers or {}), timeout=60)
        self._refresh_token: str | None = None
        if token:
            self._authorize(token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def login(self, username: str, password: str) -> Self:
        """Log in with local credentials; the token is renewed by itself."""
        self._keep(self.request("POST", "/auth/login", json={"username": username, "password": password}))
        return self

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Send a request and return its JSON.

        Raises:
            GatewayError: with the problem's stable code.
        """
        response = self._send(method, path, **options)
        return response.json() if response.content else None

    def run(
        self,
        kind: JobKind | str,
        county: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        deadline_seconds: int | None = None,
    ) -> Job:
        """Ask for a job; with a key, asking twice gives the same job."""
        body: dict[str, Any] = {"county": county, "parameters": dict(parameters or {})}
        if deadline_seconds is not None:
            body["deadline_seconds"] = deadline_seconds
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        path = f"/api/v1/{JobKind(str(kind).replace('-', '_')).route}/run"
        return Job.model_validate(self.request("POST", path, json=body, headers=headers))

    def job(self, job_id: UUID | str) -> Job:
        """A job as it is now."""
        return Job.model_validate(self.request("GET", f"/api/v1/jobs/{job_id}"))

    def jobs(self, **filters: str) -> Iterator[Job]:
        """Every job that the caller may see, newest first."""
        cursor: str | None = None
        while True:
            query = {**filters, **({"cursor": cursor} if cursor else {})}
            page = self.request("GET", "/api/v1/jobs", params=query)
            yield from (Job.model_validate(item) for item in page["items"])
            cursor = page["next"]
            if cursor is None:
                return

    def wait(self, job: Job, *, timeout_seconds: float = 3600, on_progress: Callable[[Job], None] | None = None) -> Job:
        """Wait until a job has ended well.

        Raises:
            JobFailedError: it failed or was cancelled.
            TimeoutError: it is still not done.
        """
        end = time.monotonic() + timeout_seconds
        while not job.status.ended:
            if time.monotonic() > end:
                raise TimeoutError(f"{job.kind} job {job.id} is still {job.status}")
            time.sleep(_WAIT_SECONDS)
            job = self.job(job.id)
            if on_progress is not None:
                on_progress(job)
        if job.status != "succeeded":
            raise JobFailedError(job)
        return job

    def results(self, job_id: UUID | str) -> JobResult:
        """What a job that succeeded has to show."""
        return JobResult.model_validate(self.request("GET", f"/api/v1/jobs/{job_id}/results"))

    def cancel(self, job_id: UUID | str) -> Job:
        """Ask a job to stop."""
        return Job.model_validate(self.request("POST", f"/api/v1/jobs/{job_id}/cancel"))

    def retry(self, job_id: UUID | str) -> Job:
        """Start a failed or cancelled job again."""
        return Job.model_validate(self.request("POST", f"/api/v1/jobs/{job_id}/retry"))

    def download(self, job: Job, name: str, target: Path) -> Path:
        """Save an artifact of a job as a file."""
        artifact = next((a for a in job.artifacts if a.name == name), None)
        if artifact is None:
            raise FileNotFoundError(f"job {job.id} has no artifact {name!r}")
        with self._http.stream("GET", artifact.href) as response:
            if response.status_code >= httpx.codes.BAD_REQUEST:
                response.read()
                raise _refusal(response)
            with target.open("wb") as file:
                for chunk in response.iter_bytes():
                    file.write(chunk)
        return target

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        renewed = False
        for tried in range(1, _TRIES + 1):
            response = self._http.request(method, path, **options)
            if response.status_code == httpx.codes.UNAUTHORIZED and self._refresh_token and not renewed:
                renewed = True
                self._renew()
            elif response.status_code not in _RETRY_STATUSES or tried == _TRIES or not _repeatable(method, options):
                break
            else:
                time.sleep(_WAIT_SECONDS * 2**tried)
        if response.status_code >= httpx.codes.BAD_REQUEST:
            raise _refusal(response)
        return response

    def _renew(self) -> None:
        token, self._refresh_token = self._refresh_token, None
        self._keep(self.request("POST", "/auth/refresh", json={"refresh_token": token}))

    def _keep(self, tokens: Mapping[str, Any]) -> None:
        self._authorize(tokens["access_token"])
        self._refresh_token = tokens["refresh_token"]

    def _authorize(self, token: str) -> None:
        self._http.headers["Authorization"] = f"Bearer {token}"


def _repeatable(method: str, options: Mapping[str, Any]) -> bool:
    """Whether sending twice is harmless."""
    return method == "GET" or "Idempotency-Key" in (options.get("headers") or {})


def _refusal(response: httpx.Response) -> GatewayError:
    try:
        problem = response.json()
    except ValueError:
        problem = {"detail": response.reason_phrase, "code": f"http_{response.status_code}"}
    return GatewayError(response.status_code, problem if isinstance(problem, dict) else {"detail": str(problem)})
