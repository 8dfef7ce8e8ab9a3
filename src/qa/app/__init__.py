"""The web application: the chat page and the JSON interface."""

from __future__ import annotations

from importlib import metadata

from flask import Flask, Response, jsonify
from flask_openapi3.models.info import Info
from flask_openapi3.openapi import OpenAPI

from qa.app import access, compression, problems, rate, requests, security
from qa.app.api import api, operation
from qa.app.cited import CitedPlaces
from qa.app.evidence import evidence
from qa.app.feedback import feedback
from qa.app.files import PageImages, files
from qa.app.jobs import Jobs
from qa.app.pages import pages
from qa.app.queue import Queue
from qa.app.rebuild import rebuild
from qa.app.uploads import uploads
from qa.assistant import Live
from qa.config import web_folder
from qa.examples import Examples


def create_app(live: Live, jobs: Jobs | None = None, token: str = "") -> Flask:
    """Make the application that answers from what is live; there need be no index yet.

    :param jobs: what rebuilds the index; whoever gives it closes it.
    :param token: where given, who asks must have it.
    """
    web = web_folder()
    app = OpenAPI(
        "qa",
        info=Info(title="qa", version=metadata.version("qa")),
        security_schemes={"token": {"type": "http", "scheme": "bearer"}},
        doc_ui=False,
        validation_error_model=problems.Problem,
        validation_error_callback=problems.of_validation,
        template_folder=str(web / "templates"),
        static_folder=str(web / "static"),
    )
    app.config["MAX_CONTENT_LENGTH"] = live.settings.max_body_kb * 1024
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["qa"] = live
    app.extensions["qa-jobs"] = jobs or Jobs(live.settings)
    app.extensions["qa-examples"] = Examples()
    app.extensions["qa-cited"] = CitedPlaces()
    app.extensions["qa-page-images"] = PageImages()
    settings = live.settings
    app.extensions["qa-queue"] = Queue(settings.threads, settings.queue, settings.request_seconds)
    requests.install(app)
    security.install(app, settings)
    rate.install(app, settings.rate_per_minute)
    access.install(app, token)
    problems.install(app)
    compression.install(app)
    app.register_api(api)
    app.register_api(rebuild)
    app.register_api(evidence)
    app.register_api(feedback)
    app.register_api(uploads)
    app.register_api(operation)
    app.register_blueprint(pages)
    app.register_blueprint(files)

    @app.get("/api/v1/openapi.json", doc_ui=False)
    def openapi() -> Response:
        return jsonify(app.api_doc)

    return app
