//! The documents in Markdown: what they name exists, and what they have to describe is there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use consent::eligibility::Reason;
use consent::log::Metric;

/// Lines of the README, at most.
const README_LINES: usize = 200;

/// Lines of the tour in the README, at most: its heading, commands and what they print included.
const TOUR_LINES: usize = 40;

/// The parts of an entry for an alarm.
const ENTRY: [&str; 3] = ["**Means.**", "**First query.**", "**Do.**"];

/// Folders that tools make; they are no part of the repository.
const MADE_BY_TOOLS: [&str; 6] = [".git", "target", ".venv", ".aws-sam", "__pycache__", "node_modules"];

/// Endings by which a name without a slash is the name of a file of the repository. Others, such as `batches.json`, may be
/// objects and files of users.
const SOURCES: [&str; 7] = [".rs", ".md", ".toml", ".yaml", ".yml", ".py", ".env"];

/// The repository's files and folders, as paths from its root with `/` between the parts.
struct Repository {
    files: BTreeSet<String>,
    folders: BTreeSet<String>,
}

impl Repository {
    fn read() -> Self {
        let mut repository = Self { files: BTreeSet::new(), folders: BTreeSet::new() };
        repository.add("");
        repository
    }

    fn add(&mut self, folder: &str) {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if MADE_BY_TOOLS.contains(&name.as_str()) {
                continue;
            }
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            if entry.file_type().unwrap().is_dir() {
                self.add(&path);
                self.folders.insert(path);
            } else {
                self.files.insert(path);
            }
        }
    }

    fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files.contains(path) || self.folders.contains(path)
    }

    fn has_file_named(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.rsplit('/').next() == Some(name))
    }

    fn documents(&self) -> Vec<Document> {
        self.files.iter().filter(|file| has_extension(file, "md")).map(|file| Document::read(file)).collect()
    }

    /// Returns true if a code span is a path of this repository, which then has to exist.
    ///
    /// A span is a path if it has only ASCII letters, digits, `_`, `.`, `-` and `/`, does not begin with `/`, and
    /// - has a slash, and its first part is an entry of the repository's root, or
    /// - ends like a source file ([`SOURCES`]).
    fn counts_as_path(&self, span: &str) -> bool {
        let is_plain = span.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/'));
        let first = span.split_once('/').map(|(first, _)| first);
        let is_in_root = first.is_some_and(|first| !first.is_empty() && self.has(first));
        let is_source = SOURCES.iter().any(|ending| span.len() > ending.len() && span.ends_with(ending));
        is_plain && !span.starts_with('/') && (is_in_root || is_source)
    }

    /// Returns true if a path in a document exists, from the root or from the document. A name without a slash may be anywhere.
    fn resolves(&self, span: &str, document: &Document) -> bool {
        self.has(span)
            || self.has(&joined(document.folder(), span))
            || (!span.contains('/') && self.has_file_named(span))
    }
}

/// A document in Markdown.
struct Document {
    path: String,
    text: String,
}

impl Document {
    fn read(path: &str) -> Self {
        Self { path: path.to_owned(), text: fs::read_to_string(root().join(path)).unwrap() }
    }

    fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The lines outside fenced blocks.
    fn prose(&self) -> Vec<&str> {
        let mut is_fenced = false;
        let mut prose = Vec::new();
        for line in self.text.lines() {
            if line.trim_start().starts_with("```") {
                is_fenced = !is_fenced;
                prose.push("");
            } else if !is_fenced {
                prose.push(line);
            }
        }
        assert!(!is_fenced, "{}: a fenced block has no end", self.path);
        prose
    }

    /// The paragraphs outside fenced blocks, each with its code spans and with what is left without them.
    fn paragraphs(&self) -> Vec<(Vec<String>, String)> {
        let prose = self.prose();
        let paragraphs = prose.split(|line| line.trim().is_empty()).filter(|lines| !lines.is_empty());
        let parted = paragraphs.map(|lines| {
            let text = lines.join("\n");
            let parts: Vec<&str> = text.split('`').collect();
            assert!(parts.len() % 2 == 1, "{}: a code span has no end: {text}", self.path);
            let spans = parts.iter().skip(1).step_by(2).map(|span| span.replace('\n', " "));
            (spans.collect(), parts.iter().step_by(2).copied().collect::<Vec<_>>().join("code"))
        });
        parted.collect()
    }

    fn code_spans(&self) -> Vec<String> {
        self.paragraphs().into_iter().flat_map(|(spans, _)| spans).collect()
    }

    /// The targets of links: `[text](target)`, and `[name]: target` at the beginning of a line.
    fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        for (_, text) in self.paragraphs() {
            let inline = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
            links.extend(inline.map(|target| target.split_whitespace().next().unwrap_or_default().to_owned()));
            let named = text.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
            links.extend(named.map(|(_, target)| target.trim().to_owned()));
        }
        links
    }

    /// The anchors of the headings.
    fn anchors(&self) -> BTreeSet<String> {
        let headings = self.prose().into_iter().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    }

    /// The lines from a heading to before the next one of the same level or a higher one.
    fn section(&self, heading: &str) -> Vec<&str> {
        let level = |line: &str| line.chars().take_while(|c| *c == '#').count();
        let ends = |line: &str| (1..=level(heading)).contains(&level(line)) && line.contains("# ");
        let mut is_fenced = false;
        let mut lines = self.text.lines().skip_while(|line| *line != heading);
        let first = lines.next().unwrap_or_else(|| panic!("{} has no `{heading}`", self.path));
        let rest = lines.take_while(|line| {
            is_fenced ^= line.starts_with("```");
            is_fenced || !ends(line)
        });
        [first].into_iter().chain(rest).collect()
    }

    /// The code spans in the first column of a table, below a heading.
    fn first_column(&self, heading: &str) -> BTreeSet<String> {
        let rows = self.section(heading).into_iter().filter(|line| line.starts_with("| `"));
        let cells = rows.filter_map(|row| row.split(" |").next());
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn has_extension(file: &str, extension: &str) -> bool {
    Path::new(file).extension().is_some_and(|found| found == extension)
}

/// A path from a folder, with its `.` and `..` parts resolved.
fn joined(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The template's entries below a top-level key, such as `Resources`: their names and lines.
fn template(section: &str) -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(root().join("template.yaml")).unwrap();
    let lines = text.lines().skip_while(|line| *line != format!("{section}:")).skip(1);
    let mut entries: Vec<(String, Vec<String>)> = Vec::new();
    for line in lines.take_while(|line| line.is_empty() || line.starts_with([' ', '#'])) {
        let name = line.strip_prefix("  ").and_then(|line| line.strip_suffix(':'));
        match name.filter(|name| name.chars().all(char::is_alphanumeric)) {
            Some(name) => entries.push((name.to_owned(), Vec::new())),
            None => entries.last_mut().into_iter().for_each(|(_, lines)| lines.push(line.trim().to_owned())),
        }
    }
    assert!(!entries.is_empty(), "the template has no {section}");
    entries
}

/// The template's resources of a type.
fn resources(kind: &str) -> Vec<(String, Vec<String>)> {
    let kind = format!("Type: {kind}");
    template("Resources").into_iter().filter(|(_, lines)| lines.first() == Some(&kind)).collect()
}

fn alarms() -> BTreeSet<String> {
    resources("AWS::CloudWatch::Alarm").into_iter().map(|(name, _)| name).collect()
}

fn field(lines: &[String], name: &str) -> Option<String> {
    lines.iter().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(": ")?.to_owned()))
}

/// The routes of the template but its catch-all, each with the scope that it asks for.
fn routes() -> Vec<(String, Option<String>)> {
    let mut routes = Vec::new();
    for (_, lines) in resources("AWS::Serverless::Function") {
        for event in lines.split(|line| line == "Type: HttpApi").skip(1) {
            let (method, path) = (field(event, "Method").unwrap(), field(event, "Path").unwrap());
            let mut scopes = event.iter().take_while(|line| !line.starts_with("Type:"));
            let scope = scopes.find_map(|line| line.strip_prefix("AuthorizationScopes: ["));
            if path.starts_with('/') {
                routes.push((format!("{method} {path}"), scope.map(|scope| scope.trim_end_matches(']').to_owned())));
            }
        }
    }
    assert!(routes.len() > 10, "the template's routes were not found: {routes:?}");
    routes
}

#[test]
fn the_readme_and_its_tour_stay_short() {
    let readme = Document::read("README.md");
    let (lines, tour) = (readme.text.lines().count(), readme.section("## Tour").len());
    assert!(lines <= README_LINES, "the README has {lines} lines: move something to docs/");
    assert!(tour <= TOUR_LINES, "the tour in the README has {tour} lines: move something to docs/tour.md");
}

#[test]
fn every_relative_link_leads_to_a_file_and_to_a_heading_of_it() {
    let repository = Repository::read();
    let mut broken = Vec::new();
    for document in repository.documents() {
        for link in document.links() {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { document.path.clone() } else { joined(document.folder(), path) };
            let has_heading = || heading.is_empty() || Document::read(&target).anchors().contains(heading);
            if !repository.has(&target) || !has_heading() {
                broken.push(format!("{}: {link}", document.path));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

#[test]
fn every_path_in_backticks_exists() {
    let repository = Repository::read();
    let mut missing = Vec::new();
    for document in repository.documents() {
        let paths = document.code_spans().into_iter().filter(|span| repository.counts_as_path(span));
        let gone = paths.filter(|path| !repository.resolves(path, &document));
        missing.extend(gone.map(|path| format!("{}: {path}", document.path)));
    }
    assert!(missing.is_empty(), "paths that do not exist:\n{}", missing.join("\n"));
}

#[test]
fn every_alarm_has_an_entry_that_says_what_it_means_what_to_ask_first_and_what_to_do() {
    let operations = Document::read("docs/operations.md");
    let headings = operations.section("## Alarms").into_iter().filter(|line| line.starts_with("### "));
    let entries: Vec<&str> = headings.collect();
    let named: BTreeSet<String> = entries.iter().map(|line| line[4..].trim_matches('`').to_owned()).collect();
    assert_eq!(named, alarms(), "the entries on the left, the template on the right");
    for entry in entries {
        let text = operations.section(entry).join("\n");
        for part in ENTRY {
            assert!(text.contains(part), "{entry} does not say {part}");
        }
    }
}

#[test]
fn every_alarm_and_every_metric_that_a_document_names_exists() {
    let (alarms, known) = (alarms(), Metric::ALL.iter().map(|metric| metric.name()).collect::<BTreeSet<_>>());
    for document in Repository::read().documents() {
        for span in document.code_spans().iter().filter(|span| span.ends_with("Alarm") && !span.contains(' ')) {
            assert!(alarms.contains(span), "{}: the template has no {span}", document.path);
        }
        for query in document.text.split("fields.metric = \"").skip(1) {
            let metric = query.split('"').next().unwrap();
            assert!(known.contains(metric), "{}: nothing logs {metric}", document.path);
        }
    }
}

#[test]
fn the_metrics_that_the_template_counts_are_described_and_no_others() {
    let counted = resources("AWS::Logs::MetricFilter").into_iter();
    let counted: BTreeSet<String> = counted.map(|(_, lines)| field(&lines, "MetricName").unwrap()).collect();
    let described = Document::read("docs/operations.md").first_column("## Logs and metrics");
    assert_eq!(described, counted, "the document on the left, the template on the right");
}

#[test]
fn the_parameters_of_the_template_are_described_and_no_others() {
    let parameters: BTreeSet<String> = template("Parameters").into_iter().map(|(name, _)| name).collect();
    let described = Document::read("docs/operations.md").first_column("### Parameters");
    assert_eq!(described, parameters, "the document on the left, the template on the right");
}

#[test]
fn the_routes_of_the_template_are_described_with_their_scopes_and_no_others() {
    let api = Document::read("docs/api.md");
    let routes = routes();
    let named: BTreeSet<String> = routes.iter().map(|(route, _)| route.clone()).collect();
    assert_eq!(api.first_column("## Routes"), named, "the document on the left, the template on the right");
    let rows = api.section("## Routes");
    for (route, scope) in routes {
        let row = rows.iter().find(|row| row.contains(&format!("`{route}`"))).unwrap();
        let told = scope.is_none_or(|scope| row.contains(&format!("`{scope}`")));
        assert!(told, "docs/api.md names another scope: {row}");
    }
}

#[test]
fn every_term_of_the_glossary_is_called_so_in_the_code() {
    let files = Repository::read().files.into_iter();
    let files = files.filter(|file| file.starts_with("shared/src/") || file.starts_with("functions/"));
    let code: String = files
        .filter(|file| has_extension(file, "rs"))
        .map(|file| fs::read_to_string(root().join(file)).unwrap())
        .collect();
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let names: BTreeSet<&str> = code.split(|c| !is_name(c)).collect();
    let architecture = Document::read("docs/architecture.md");
    let rows = architecture.section("## Glossary").into_iter().filter(|line| line.starts_with("| "));
    let terms: Vec<&str> = rows.filter_map(|row| row.split(" | ").nth(1)).collect();
    let spans = terms.iter().flat_map(|cell| cell.split('`').skip(1).step_by(2));
    let gone: Vec<&str> = spans.flat_map(|span| span.split("::")).filter(|name| !names.contains(name)).collect();
    assert!(terms.len() > 40, "the glossary has {} terms", terms.len());
    assert!(gone.is_empty(), "names that the code does not have: {gone:?}");
}

#[test]
fn the_reasons_to_skip_are_described_in_their_order() {
    let campaigns = Document::read("docs/campaigns.md");
    let rows = campaigns.section("### Reasons to skip").into_iter().filter_map(|line| line.strip_prefix("| `"));
    let described: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    assert_eq!(described, Reason::ALL.map(Reason::as_str), "the document on the left, the code on the right");
}

#[test]
fn every_decision_is_in_the_list_of_decisions() {
    let list = Document::read("docs/decisions/README.md").links();
    let records = Repository::read().files;
    let records = records.iter().filter_map(|file| file.strip_prefix("docs/decisions/0"));
    let missing: Vec<String> = records.map(|name| format!("0{name}")).filter(|name| !list.contains(name)).collect();
    assert!(missing.is_empty(), "decisions that nobody finds: {missing:?}");
}

#[test]
fn paths_are_told_from_scopes_routes_objects_and_patterns() {
    let repository = Repository::read();
    for path in ["shared/src/gone.rs", "shared/", ".ci/run", "elsewhere/gone.rs", "gone.toml", "docs/gone"] {
        assert!(repository.counts_as_path(path), "{path}");
    }
    for other in
        ["consent/read", "/local/outbox", "skipped.csv", "events/<function>-<case>.json", "STOP", ".rs", "a b.rs"]
    {
        assert!(!repository.counts_as_path(other), "{other}");
    }
}

#[test]
fn links_and_spans_are_found_outside_fenced_blocks_alone() {
    let text = "See [a `b](c)`](d.md#e) and `f\ng`.\n\n```sh\n[h](i) `j`\n```\n\n[k]: l.md\n## The `m` & _n_\n";
    let document = Document { path: "docs/x.md".to_owned(), text: text.to_owned() };
    assert_eq!(document.links(), ["d.md#e", "l.md"]);
    assert_eq!(document.code_spans(), ["b](c)", "f g", "m"]);
    assert!(document.anchors().contains("the-m--_n_"));
    assert_eq!(joined("docs/decisions", "../api.md"), "docs/api.md");
}
