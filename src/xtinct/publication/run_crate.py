"""The RO-Crate of a shared build: what was made from what, by which stage, with which parameters.

RO-Crate 1.1 with the profiles Process Run Crate, Workflow Run Crate (both 0.5) and Workflow RO-Crate (1.0).
Every stage that DVC recorded is an action; the whole run is one too, whose instrument is the Snakefile.
"""

import json
import mimetypes
import urllib.parse
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import xtinct
from xtinct.extras import names_extra
from xtinct.project.verification import RecordedStage
from xtinct.publication.shared_files import SharedBuild, SharedFile

if TYPE_CHECKING:
    from rocrate.model.entity import Entity
    from rocrate.rocrate import ROCrate

CRATE = "ro-crate-metadata.json"
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
_WORKFLOW = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
_PARAMETER = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
#: What Python's own table does not know, or knows otherwise on other machines.
_FORMATS = {
    ".parquet": "application/vnd.apache.parquet",
    ".safetensors": "application/octet-stream",
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".py": "text/x-python",
    ".yaml": "application/yaml",
}
_CODE = (".py", ".smk")
#: Names of licences as sources write them, where those are no identifiers of SPDX.
_WRITTEN = {"CC BY": "CC-BY", "CC BY-NC": "CC-BY-NC", "CC BY-SA": "CC-BY-SA", "CC0": "CC0"}


@names_extra
def run_crate(build: SharedBuild, descriptions: Sequence[SharedFile]) -> dict[str, Any]:
    """The content of ro-crate-metadata.json. `descriptions`: of the build, the card first."""
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version="1.1")
    _Writer(crate, build).write(descriptions)
    return crate.metadata.generate()


class _Writer:
    """Adds the entities of one build to a crate, each once."""

    def __init__(self, crate: "ROCrate", build: SharedBuild) -> None:
        self.crate, self.build = crate, build
        self.revision = build.provenance.get("git revision", xtinct.__version__)
        self.files: dict[str, Entity] = {}
        self.folders: dict[str, Entity] = {}

    def write(self, descriptions: Sequence[SharedFile]) -> None:
        """Everything, in the order in which it refers to each other."""
        root, build = self.crate.root_dataset, self.build
        root["name"], root["datePublished"] = build.about.name, build.published
        root["description"] = (
            f"A build of Xtinct {xtinct.__version__}: powder-diffraction datasets of line lists, the models "
            "trained on them, their evaluation, and the workflow that made them."
        )
        root["license"] = _one([self._licence(licence) for licence in build.licences])
        root["conformsTo"] = [
            self._context(url, "CreativeWork", name=name, version=version)
            for url, (name, version) in _PROFILES.items()
        ]
        tables = {table.path: table for table in build.tables}
        workflow = self._workflow()
        for file in [*build.files, *descriptions]:
            if file.path != "Snakefile":
                table = tables.get(file.path)
                self._file(file, {licence for _, licence in table.origins} if table else ())
        self.files[descriptions[0].path]["about"] = root
        for path in sorted({path for stage in build.stages for path in stage.outputs} - set(self.files)):
            self._folder(path)
        rules = [entity for path, entity in self.files.items() if path.endswith(".smk")]
        workflow["hasPart"] = _one(rules)
        workflow["softwareRequirements"] = _one(self._software())
        sources = self._sources()
        actions = [self._action(stage, workflow) for stage in build.stages]
        root["mentions"] = [self._run(workflow, sources), *actions]

    def _workflow(self) -> "Entity":
        (file,) = (file for file in self.build.files if file.path == "Snakefile")
        software = self.build.provenance.get("software", {})
        properties = {
            "name": "Xtinct",
            "sha256": file.sha256,
            "contentSize": str(file.size),
            "license": self._licence("MIT"),
            "conformsTo": self._context(
                _WORKFLOW, "CreativeWork", name="ComputationalWorkflow", version="1.0"
            ),
            "encodingFormat": "text/plain",
            "version": self.revision,
        }
        version = software.get("snakemake", "")
        workflow = self.crate.add_workflow(
            dest_path="Snakefile",
            main=True,
            lang="snakemake",
            lang_version=version or None,
            properties=properties,
        )
        self.files["Snakefile"] = workflow
        return workflow

    def _file(self, file: SharedFile, licences: Iterable[str]) -> None:
        suffix = PurePosixPath(file.path).suffix
        properties: dict[str, Any] = {
            "name": file.path,
            "sha256": file.sha256,
            "contentSize": str(file.size),
            "encodingFormat": _FORMATS.get(suffix)
            or mimetypes.guess_type(file.path, strict=True)[0]
            or "text/plain",
        }
        if suffix in _CODE:
            properties["@type"] = ["File", "SoftwareSourceCode"]
            properties["license"] = self._licence("MIT")
            properties["version"] = self.revision
        if licences:
            properties["license"] = _one([self._licence(licence) for licence in sorted(licences)])
        self.files[file.path] = self.crate.add_file(dest_path=file.path, properties=properties)

    def _folder(self, path: str) -> None:
        inside = [entity for name, entity in self.files.items() if name.startswith(f"{path}/")]
        if inside:
            properties = {"name": path, "hasPart": _one(inside)}
            self.folders[path] = self.crate.add_directory(dest_path=path, properties=properties)

    def _action(self, stage: RecordedStage, workflow: "Entity") -> "Entity":
        """The run of one stage, by the file of its rules."""
        rules = [path for path in stage.inputs if path.startswith("rules/") and path in self.files]
        parameters = [
            self._context(
                _identifier("parameter", stage.name, key),
                "PropertyValue",
                name=key,
                value=json.dumps(value, sort_keys=True, ensure_ascii=False),
            )
            for values in stage.parameters.values()
            for key, value in values.items()
        ]
        return self._context(
            _identifier("stage", stage.name),
            "CreateAction",
            name=f"Stage {stage.name}",
            description=stage.command,
            instrument=self.files[rules[0]] if rules else workflow,
            object=[*(self._input(path, md5) for path, md5 in stage.inputs.items()), *parameters],
            result=[self._place(path) for path in stage.outputs if self._place(path)],
            actionStatus="http://schema.org/CompletedActionStatus",
        )

    def _run(self, workflow: "Entity", sources: Sequence["Entity"]) -> "Entity":
        """The whole run, and the inputs and outputs of the workflow."""
        made = {path for stage in self.build.stages for path in stage.outputs}
        results = {path: entity for path in sorted(made) if (entity := self._place(path))}
        configuration = self.files["config/config.yaml"]
        workflow["input"] = self._parameter("configuration", "input", configuration)
        workflow["output"] = _one(
            [self._parameter(path, "output", entity) for path, entity in results.items()]
        )
        provenance = [
            self._context(_identifier("build", key), "PropertyValue", name=key, value=value)
            for key, value in self.build.provenance.items()
            if isinstance(value, str)
        ]
        return self._context(
            "#run",
            "CreateAction",
            name="The build",
            description="Every stage of the workflow, by Snakemake or by DVC",
            instrument=workflow,
            object=[configuration, *sources, *provenance],
            result=list(results.values()),
            actionStatus="http://schema.org/CompletedActionStatus",
        )

    def _parameter(self, name: str, way: str, entity: "Entity") -> "Entity":
        kind = "Dataset" if "Dataset" in _types(entity) else "File"
        parameter = self._context(
            _identifier(way, name),
            "FormalParameter",
            name=name,
            additionalType=kind,
            conformsTo=self._context(_PARAMETER, "CreativeWork", name="FormalParameter", version="1.0"),
            workExample=entity,
        )
        entity["exampleOfWork"] = parameter
        return parameter

    def _input(self, path: str, md5: str) -> "Entity":
        """What a stage read: in the crate, or known by its digest alone."""
        return self._place(path) or self._context(
            _identifier("input", path), "CreativeWork", name=path, identifier=f"md5:{md5}"
        )

    def _place(self, path: str) -> "Entity | None":
        if path not in self.files and path not in self.folders:
            self._folder(path)
        return self.files.get(path) or self.folders.get(path)

    def _sources(self) -> list["Entity"]:
        """The sources of structures, with their licences, versions and what to cite."""
        about, versions = self.build.about, self.build.versions
        licences: dict[str, set[str]] = {}
        for table in self.build.tables:
            for source, licence in table.origins if table.kind != "measured_patterns" else ():
                licences.setdefault(source, set()).add(licence)
        found = []
        for name, source in self.build.config.get("sources", {}).items():
            cited = about.cite(name)
            found.append(
                self._context(
                    _identifier("source", name),
                    "CreativeWork",
                    name=name,
                    description=f"Source of structures, of the kind {source['kind']}",
                    version=versions.get(name),
                    license=[self._licence(licence) for licence in sorted(licences.get(name, ()))],
                    citation=self._context(_identifier("citation", name), "ScholarlyArticle", name=cited),
                )
            )
        return found

    def _software(self) -> list["Entity"]:
        return [
            self._context(
                _identifier("software", name), "SoftwareApplication", name=name, softwareVersion=version
            )
            for name, version in self.build.provenance.get("software", {}).items()
            if version != "not installed"
        ]

    def _licence(self, licence: str) -> "Entity":
        known = _spdx(licence)
        if known:
            return self._context(f"https://spdx.org/licenses/{known}", "CreativeWork", name=known)
        return self._context(_identifier("licence", licence), "CreativeWork", name=licence)

    def _context(self, identifier: str, kind: str, /, **properties: Any) -> "Entity":
        """A contextual entity, made once."""
        from rocrate.model.contextentity import ContextEntity

        known = self.crate.dereference(identifier)
        if known is not None:
            return known
        kept = {key: value for key, value in properties.items() if value not in (None, [], "")}
        entity = self.crate.add(ContextEntity(self.crate, identifier, properties={"@type": kind}))
        for key, value in kept.items():
            entity[key] = _one(value) if isinstance(value, list) else value
        return entity


def _spdx(licence: str) -> str | None:
    """Identifier of a licence in SPDX, as SPDX writes it; None if it has none."""
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    name, _, version = licence.rpartition(" ")
    try:
        found = canonicalize_license_expression(
            f"{_WRITTEN[name]}-{version}" if name in _WRITTEN else licence
        )
    except InvalidLicenseExpression:
        return None
    return None if " " in found or found.startswith("LicenseRef-") else found


def _one(values: Sequence[Any]) -> Any:
    """A single value for a list of one, as RO-Crate recommends."""
    return values[0] if len(values) == 1 else list(values)


def _types(entity: "Entity") -> Sequence[str]:
    kinds = entity.type
    return [kinds] if isinstance(kinds, str) else kinds


def _identifier(*names: str) -> str:
    """Identifier within the crate."""
    return "#" + "/".join(urllib.parse.quote(name, safe="") for name in names)
