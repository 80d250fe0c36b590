//! The readings that count for opt-out keywords only: a keyword written several times, or letter by letter.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tests::World;

/// Writes each text from a number of its own; gives those texts whose sender is not opted out afterwards.
async fn not_opted_out<'a>(world: &World, texts: &[&'a str]) -> Vec<&'a str> {
    let mut left = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let phone = format!("141555501{index:02}");
        world.says(&phone, text).await;
        if world.contact(&phone).await.is_none_or(|contact| contact["status"] != "opted_out") {
            left.push(*text);
        }
    }
    left
}

#[tokio::test]
async fn a_keyword_said_several_times_opts_out() {
    let world = World::start().await;
    let wall = "STOP ".repeat(800);
    let texts = [
        "stop stop",
        "STOP! STOP!",
        "Stop. Stop. STOP!!!",
        "stop\nstop",
        "stop-stop",
        "stop, stop",
        "STOP🛑STOP🛑",
        &wall,
    ];
    assert_eq!(not_opted_out(&world, &texts).await, Vec::<&str>::new());
}

#[tokio::test]
async fn a_keyword_of_several_words_said_several_times_opts_out() {
    let world = World::start().await;
    world
        .change_settings(|settings| {
            settings["opt_out_keywords"] = json!(["Opt-Out", "no more ads from this shop please"]);
        })
        .await;
    let texts = [
        "opt out opt out",
        "OPT-OUT! opt out!",
        "No more ads from this shop please. No more ads from this shop, please!",
        "optout optout",
    ];
    assert_eq!(not_opted_out(&world, &texts).await, [texts[2], texts[3]], "a comma, and another word");
    let texts = ["no more ads from this shop please. No more ads from this shop please!!"];
    assert_eq!(
        not_opted_out(&world, &texts).await,
        Vec::<&str>::new(),
        "longer than a keyword, but what it says is not"
    );
}

#[tokio::test]
async fn a_keyword_spelled_letter_by_letter_opts_out() {
    let world = World::start().await;
    let texts = ["S T O P", "s.t.o.p", "S.T.O.P.", "S-T-O-P", "S—T—O—P", "S. T. O. P.", "*S  T  O  P*!", "s\nt\no\np"];
    assert_eq!(not_opted_out(&world, &texts).await, Vec::<&str>::new());
    world
        .change_settings(|settings| settings["opt_out_keywords"] = json!(["수신거부", "退订", "रोको", "Straße"]))
        .await;
    let texts = ["수 신 거 부", "退.订", "रो को", "s-t-r-a-ß-e", "S T R A S S E"];
    assert_eq!(not_opted_out(&world, &texts).await, Vec::<&str>::new(), "a letter is a base with its marks");
}

#[tokio::test]
async fn control_characters_inside_a_keyword_are_nothing() {
    let world = World::start().await;
    assert_eq!(
        not_opted_out(&world, &["ST\0OP", "\u{1}stop\u{7f}", "s\u{8}t\u{1b}op\u{9c}"]).await,
        Vec::<&str>::new()
    );
}

#[tokio::test]
async fn what_only_contains_the_letters_or_the_word_opts_nobody_out() {
    let world = World::start().await;
    let texts = [
        "stop by my office",
        "stop stop it",
        "don't stop, stop",
        "stopstop",
        "S T-O P",
        "S,T,O,P",
        "st op",
        "s t o p p",
        "S T O P now",
        "stop\tsto",
        "nonstop",
    ];
    assert_eq!(not_opted_out(&world, &texts).await, texts);
}

#[tokio::test]
async fn an_opt_in_keyword_is_read_in_none_of_these_ways() {
    let world = World::start().await;
    for (index, text) in ["START START", "S T A R T", "s-t-a-r-t", "start! start!"].into_iter().enumerate() {
        let phone = format!("141555501{index:02}");
        world.says(&phone, "STOP").await;
        world.says(&phone, text).await;
        assert_eq!(world.status(&phone).await, "opted_out", "{text}");
    }
    world.says("14155550100", "ST\0ART").await;
    assert_eq!(world.status("14155550100").await, "opted_in");
}

#[tokio::test]
async fn an_opt_in_keyword_that_would_be_read_as_an_opt_out_is_refused_by_name() {
    let world = World::start().await;
    let settings = |opt_out: &str, opt_in: &str| json!({"enabled": true, "opt_out_keywords": [opt_out], "opt_out_message": "", "opt_in_keywords": [opt_in], "opt_in_message": "", "require_opt_in": false});
    for (opt_out, opt_in) in
        [("Halt", "halt, halt"), ("Halt", "H.A.L.T"), ("Halt", "S T O P"), ("Halt", "unsubscribe unsubscribe")]
    {
        let answer = world.ask(Method::PUT, "/settings", Some(settings(opt_out, opt_in))).await;
        let detail = answer.body["errors"][0]["detail"].as_str().unwrap_or_default().to_owned();
        assert_eq!(answer.problem(StatusCode::UNPROCESSABLE_ENTITY), ["opt_in_keywords[0]"], "{opt_in}");
        assert!(detail.contains(&format!("`{opt_in}`")), "{detail}");
    }
    for (opt_out, opt_in) in [("go go", "go"), ("S.T.A.R.T", "start"), ("Halt", "on on")] {
        world.ask(Method::PUT, "/settings", Some(settings(opt_out, opt_in))).await.expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn the_keyword_tester_reads_as_the_webhook_does() {
    let world = World::start().await;
    let outcome = async |text: &str| {
        world.ask(Method::POST, "/settings/test", Some(json!({"text": text}))).await.expect(StatusCode::OK)
    };
    for (text, folded) in [("S.T.O.P", "s.t.o.p"), ("STOP! stop!", "stop! stop"), ("ST\0OP", "stop")] {
        let verdict = outcome(text).await;
        assert_eq!(
            [&verdict["outcome"], &verdict["keyword"], &verdict["folded"]],
            ["opt_out", "STOP", folded],
            "{text}"
        );
    }
    assert_eq!(outcome("START START").await["keyword"], Value::Null);
}
