"""Adding files to the corpus, and deleting those, where the settings allow it."""

from __future__ import annotations

from flask import Response, abort, jsonify, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models import RawModel
from flask_openapi3.types import ResponseDict
from pydantic import BaseModel, Field
from werkzeug.exceptions import RequestEntityTooLarge

from qa.app.api import GUARD_PROBLEMS, INDEX, SECURITY, live, problem_response
from qa.uploads import delete, keep

uploads = APIBlueprint("uploads", __name__, url_prefix="/api/v1/uploads", abp_security=SECURITY)

#: A form of another site can send no header of ours, and no other method than GET and POST.
HEADER = "X-QA-Upload"


class UploadPath(BaseModel):
    """The name of a file."""

    name: str = Field(min_length=1, max_length=300)


class UploadBody(RawModel):
    """The bytes of a file."""

    mimetypes = ["application/octet-stream"]  # noqa: RUF012


class UploadReply(BaseModel):
    """Where the file lies now; the next build of the index reads it."""

    uri: str
    bytes: int


_OFF: ResponseDict = {
    **GUARD_PROBLEMS,
    "403": problem_response(
        f"Uploads are off, the header {HEADER} is missing, or a page of another site asks."
    ),
}
_PUT: ResponseDict = {
    "201": UploadReply,
    **_OFF,
    "409": problem_response("A file with the same content is there."),
    "413": problem_response("The file is too large."),
    "422": problem_response("The file cannot be taken; the detail says why."),
}
_DELETE: ResponseDict = {
    "204": {"description": "The file is deleted; the next build of the index leaves it out."},
    **_OFF,
    "404": problem_response("No such file was uploaded."),
    "422": problem_response("A field does not fit; the detail names it."),
}


@uploads.before_request
def check() -> None:
    """Refuse everything unless the settings allow it."""
    settings = live().settings
    if not settings.uploads:
        abort(403, "This server takes no files; the setting `uploads` changes that.")
    if request.headers.get(HEADER) != "1":
        abort(403, f"Send the header {HEADER}: 1 with the request.")
    request.max_content_length = settings.upload_mb * 1024 * 1024


@uploads.put("/<name>", tags=[INDEX], responses=_PUT)
def put(path: UploadPath, raw: UploadBody) -> tuple[Response, int]:
    """Add a file to the corpus, under a name made of its own; nothing is overwritten."""
    try:
        data = request.get_data(cache=False)
    except RequestEntityTooLarge:
        abort(413, f"{path.name} is larger than upload_mb = {live().settings.upload_mb}.")
    uri = keep(live().settings, path.name, data)
    return jsonify(uri=uri, bytes=len(data)), 201


@uploads.delete("/<name>", tags=[INDEX], responses=_DELETE)
def remove(path: UploadPath) -> tuple[str, int]:
    """Delete a file that was uploaded."""
    if not delete(live().settings, path.name):
        abort(404, f"No file {path.name} was uploaded.")
    return "", 204
