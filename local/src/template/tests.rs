//! Templates that are read, and templates that are refused.

use aws_sdk_dynamodb::types::{KeyType, StreamViewType};

use super::*;
use consent::http::{Function, ROUTES, Route};
use consent::limits;

const SMALL: &str = r#"
Parameters:
  WriteScope: {Type: String, Default: consent/write}
Resources:
  ConsentTable:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: Retain
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions:
        - {AttributeName: pk, AttributeType: S}
        - {AttributeName: sk, AttributeType: S}
      KeySchema:
        - {AttributeName: pk, KeyType: HASH}
        - {AttributeName: sk, KeyType: RANGE}
      StreamSpecification: {StreamViewType: NEW_IMAGE}
      TimeToLiveSpecification: {AttributeName: expires_at, Enabled: true}
      SSESpecification: {SSEEnabled: true}
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Dashboard
        Authorizers:
          Dashboard:
            IdentitySource: $request.header.Authorization
            JwtConfiguration: {issuer: !Ref Issuer, audience: [!Ref Audience]}
  Webhook:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Receive:
          Type: HttpApi
          Properties: {ApiId: !Ref Api, Path: /webhooks/whatsapp, Method: POST, Auth: {Authorizer: NONE}}
  Contacts:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Show: {Type: HttpApi, Properties: {Path: "/contacts/{id}", Method: get}}
        Switch:
          Type: HttpApi
          Properties:
            Path: /contacts/{id}/consent
            Method: PUT
            Auth: {AuthorizationScopes: [!Ref WriteScope]}
        Rest: {Type: HttpApi, Properties: {Path: $default, Method: ANY, Auth: {Authorizer: NONE}}}
  CampaignFilter:
    Type: AWS::Serverless::Function
    Properties: {Timeout: 60}
  Confirmation:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Outbox:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt ConsentTable.StreamArn
            StartingPosition: TRIM_HORIZON
            BatchSize: 10
            MaximumRetryAttempts: 3
            BisectBatchOnFunctionError: true
            FunctionResponseTypes: [ReportBatchItemFailures]
            FilterCriteria:
              Filters:
                - Pattern: '{"dynamodb": {"Keys": {"pk": {"S": [{"prefix": "OUTBOX#"}]}}}}'
        Sweep: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 minute)}}
  Option:
    Type: AWS::Serverless::Function
    Condition: HasOption
    Properties: {Events: {Strange: {Type: Cognito, Properties: {}}}}
"#;

/// The error of the small template with one of its lines changed.
fn refused(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from));
    Template::read(&SMALL.replace(from, to)).unwrap_err().to_string()
}

#[test]
fn the_repository_s_own_template_can_be_played() {
    let template = Template::embedded().unwrap();
    let functions: std::collections::BTreeSet<_> =
        template.routes.iter().map(|route| route.function.as_str()).collect();
    assert_eq!(functions.into_iter().collect::<Vec<_>>(), ["contacts", "settings", "webhook"]);
    assert_eq!(template.table.expiry.as_deref(), Some("expires_at"));
    assert_eq!(template.table.stream, Some(StreamViewType::NewImage));
    assert_eq!(template.streams.len(), 1);
    assert!(template.streams[0].retries.is_some(), "retries are finite");
    assert_eq!(template.schedules.len(), 1);
}

#[test]
fn routes_and_scopes_are_those_of_the_table_in_code() {
    let access =
        |route: &Route| route.scope.map_or(Access::Open, |scope| Access::Token(vec![scope.as_str().to_owned()]));
    let row = |route: &Route| (format!("{} {}", route.method, route.path), route.function.as_str(), access(route));
    let mut expected: Vec<_> = ROUTES.iter().map(row).collect();
    expected.push(("$default".to_owned(), Function::Contacts.as_str(), Access::Open));
    let template = Template::embedded().unwrap();
    let mut declared: Vec<_> =
        template.routes.iter().map(|route| (route.key(), route.function.as_str(), route.access.clone())).collect();
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    declared.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(declared, expected);
}

#[test]
fn cargo_lambda_watch_leads_paths_to_the_same_functions() {
    let section =
        include_str!("../../../Cargo.toml").split_once("[workspace.metadata.lambda.watch.router]\n").unwrap().1;
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let declared: BTreeMap<&str, &str> = lines
        .filter_map(|line| line.split_once(" = "))
        .map(|(path, function)| (path.trim_matches('"'), function.trim_matches('"')))
        .collect();
    let expected: BTreeMap<&str, &str> = ROUTES.iter().map(|route| (route.path, route.function.as_str())).collect();
    assert_eq!(declared, expected);
}

#[test]
fn cors_is_what_the_parameter_makes_of_it() {
    assert_eq!(Template::embedded().unwrap().cors, None);
    let origins = "https://a.example.com,https://b.example.com";
    let template = |name: &str| Template::with_parameters(&BTreeMap::from([(name.to_owned(), origins.to_owned())]));
    let cors = template("DashboardOrigins").unwrap().cors.unwrap();
    assert_eq!(cors.allow_origins, ["https://a.example.com", "https://b.example.com"]);
    let routes = Template::embedded().unwrap().routes.iter().map(crate::route::Route::key);
    let methods: std::collections::BTreeSet<String> =
        routes.filter_map(|key| Some(key.split_once(' ')?.0.to_owned())).collect();
    assert_eq!(cors.allow_methods.iter().cloned().collect::<std::collections::BTreeSet<_>>(), methods);
    assert!(cors.allow_headers.contains(&"if-match".to_owned()) && cors.expose_headers.contains(&"etag".to_owned()));
    assert!(template("Origins").unwrap_err().to_string().contains("there is no Origins"));
}

#[test]
fn the_stack_fails_where_an_authorizer_would_be_dropped() {
    let document = yaml::read(TEXT).unwrap();
    assert_eq!(document["Resources"]["Api"]["Properties"]["FailOnWarnings"], true);
}

#[test]
fn the_table_is_the_one_declared() {
    let table = Template::read(SMALL).unwrap().table;
    let keys: Vec<_> = table.keys.iter().map(|key| (key.attribute_name(), key.key_type())).collect();
    assert_eq!(keys, [("pk", &KeyType::Hash), ("sk", &KeyType::Range)]);
    assert_eq!(table.stream, Some(StreamViewType::NewImage));
    assert_eq!(table.expiry.as_deref(), Some("expires_at"));
}

#[test]
fn routes_know_their_function_and_who_may_use_them() {
    let template = Template::read(SMALL).unwrap();
    let routes: Vec<_> =
        template.routes.iter().map(|route| (route.key(), route.function.as_str(), route.access.clone())).collect();
    let token = |scopes: &[&str]| Access::Token(scopes.iter().map(|&scope| scope.to_owned()).collect());
    for route in [
        ("POST /webhooks/whatsapp", "webhook", Access::Open),
        ("GET /contacts/{id}", "contacts", token(&[])),
        ("PUT /contacts/{id}/consent", "contacts", token(&["consent/write"])),
        ("$default", "contacts", Access::Open),
    ] {
        assert!(routes.contains(&(route.0.to_owned(), route.1, route.2.clone())), "{route:?} in {routes:?}");
    }
    assert_eq!(routes.len(), 4);
}

#[test]
fn stream_and_schedule_belong_to_their_function() {
    let template = Template::read(SMALL).unwrap();
    let [stream] = template.streams.as_slice() else { panic!("one stream") };
    assert_eq!((stream.function.as_str(), stream.batch, stream.retries), ("confirmation", 10, Some(3)));
    assert!(stream.bisect && stream.partial);
    assert!(stream.filters.pass(&serde_json::json!({"dynamodb": {"Keys": {"pk": {"S": "OUTBOX#1"}}}})));
    assert!(!stream.filters.pass(&serde_json::json!({"dynamodb": {"Keys": {"pk": {"S": "T#1"}}}})));
    let [schedule] = template.schedules.as_slice() else { panic!("one schedule") };
    assert_eq!((schedule.function.as_str(), schedule.every), ("confirmation", Duration::from_mins(1)));
}

#[test]
fn what_cannot_be_played_is_named() {
    assert!(
        refused("{\"prefix\": \"OUTBOX#\"}", "{\"wildcard\": \"OUTBOX#*\"}").contains("Confirmation.Events.Outbox")
    );
    assert!(refused("rate(1 minute)", "cron(0 * * * ? *)").contains("only rate"));
    assert!(refused("BatchSize: 10", "TumblingWindowInSeconds: 10").contains("TumblingWindowInSeconds"));
    assert!(refused("Auth: {AuthorizationScopes: [!Ref WriteScope]}", "Auth: {Authorizer: Other}").contains("`Other`"));
    assert!(refused("Path: /contacts/{id}/consent", "Path: !Sub \"/${Stage}/x\"").contains("Contacts.Events.Switch"));
    assert!(refused("Type: ScheduleV2", "Type: SQS").contains("SQS"));
    assert!(refused("Condition: HasOption", "Metadata: {}").contains("Cognito"));
    assert!(refused("BillingMode: PAY_PER_REQUEST", "BillingMode: PROVISIONED").contains("BillingMode"));
    assert!(refused("Method: get", "Method: get, Cors: {}").contains("Cors"));
    assert!(refused("Type: AWS::DynamoDB::Table", "Type: AWS::S3::Bucket").contains("0 resources"));
    assert!(refused("Path: \"/contacts/{id}\"", "Path: contacts").contains("`contacts`"));
}

#[test]
fn a_sweep_ends_well_before_its_function_is_cut_off() {
    let document = yaml::read(include_str!("../../../template.yaml")).unwrap();
    let timeout = document["Resources"]["Confirmation"]["Properties"]["Timeout"].as_u64().unwrap();
    // A last look at the outbox comes after it.
    let needs = limits::SWEEP + limits::SWEEP_END + limits::CALL.all;
    assert!(needs < Duration::from_secs(timeout), "{needs:?} of {timeout} seconds");
}

#[test]
fn function_names_are_the_folders_names() {
    assert_eq!(kebab("CampaignFilter"), "campaign-filter");
    assert_eq!(kebab("Webhook"), "webhook");
}
