"""The web application: the chat page and the JSON interface."""

from __future__ import annotations

from importlib import metadata

from flask import Flask, Response, jsonify
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from qa.app import problems, security
from qa.app.api import api, operation
from qa.app.evidence import evidence
from qa.app.feedback import feedback
from qa.app.jobs import Jobs
from qa.app.pages import pages
from qa.app.rebuild import rebuild
from qa.assistant import Live
from qa.config import web_folder

#: A question with all its options fits many times over.
_LARGEST_BODY = 256 * 1024


def create_app(live: Live, jobs: Jobs | None = None) -> Flask:
    """Make the application that answers from what is live; there need be no index yet.

    :param jobs: what rebuilds the index; whoever gives it closes it.
    """
    web = web_folder()
    app = OpenAPI(
        "qa",
        info=Info(title="qa", version=metadata.version("qa")),
        doc_ui=False,
        validation_error_model=problems.Problem,
        validation_error_callback=problems.of_validation,
        template_folder=str(web / "templates"),
        static_folder=str(web / "static"),
    )
    app.config["MAX_CONTENT_LENGTH"] = _LARGEST_BODY
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["qa"] = live
    app.extensions["qa-jobs"] = jobs or Jobs(live.settings)
    problems.install(app)
    security.install(app)
    app.register_api(api)
    app.register_api(rebuild)
    app.register_api(evidence)
    app.register_api(feedback)
    app.register_api(operation)
    app.register_blueprint(pages)

    @app.get("/api/v1/openapi.json", doc_ui=False)
    def openapi() -> Response:
        return jsonify(app.api_doc)

    return app
