"""Hold a crate against the profiles of rocrate-validator, without a network.

    python crate_validation.py FOLDER

Runs in an environment with roc-validator and rocrate 0.13, whose copy of the JSON-LD context of RO-Crate 1.1
stands for the one that the validator would fetch. Prints a line for each issue: severity, check, entity,
message.
"""

import io
import sys
import urllib.response
from email.message import Message
from pathlib import Path

import rdflib._networking as networking
import rocrate
from rocrate_validator import models, services

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
#: That the context can be fetched by its address.
OF_THE_NETWORK = ["ro-crate-1.1_3.1", "ro-crate-1.1_3.2"]


def stored(request, *_, **__):
    url = getattr(request, "full_url", request)
    assert url == CONTEXT, url
    headers = Message()
    headers["Content-Type"] = "application/ld+json"
    content = (Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_bytes()
    return urllib.response.addinfourl(io.BytesIO(content), headers, url, 200)


def main(folder):
    networking.urlopen = stored
    settings = services.ValidationSettings(
        rocrate_uri=folder,
        profile_identifier="workflow-run-crate",
        requirement_severity=models.Severity.RECOMMENDED,
        skip_checks=OF_THE_NETWORK,
    )
    for issue in services.validate(settings).get_issues():
        print(issue.severity.name, issue.check.identifier, issue.violatingEntity, issue.message)
    print("validated")


if __name__ == "__main__":
    main(sys.argv[1])
