//! What the operator of the side that calls is told of a refusal.

use super::*;
use crate::rooms::cluster::failure::{Failure, handshake};

fn text(response: &Response) -> &str {
    match response {
        Response::Failed(failure) if failure.code == Code::HandshakeFailed => &failure.text,
        other => panic!("not refused but {other:?}"),
    }
}

#[test]
fn a_secret_that_does_not_fit_is_told_on_both_sides() {
    let mut world = World::new(2, |node, config| {
        tokens(config);
        if node == 1 {
            config.cluster.secret = Some(ClusterSecret(b"another secret of theirs".to_vec()));
        }
    });
    let told = "handshake failed: the shared secret does not fit";
    for (from, to) in [(0, 1), (1, 0)] {
        assert_eq!(text(&join(&mut world, from, to)), told);
    }
    let (mut one, mut two) = (world.nodes.remove(0), world.nodes.remove(0));
    let identity = joining::identity_of(&mut two);
    let (call, hello) = joining::hello_of(&mut one, 2, &identity);
    let (_, input) = two.request(peer_caller(1), Request::Handshake(hello).into());
    let outputs = two.run(input);
    assert!(events(&outputs).contains(&"cluster_handshake_refused"));
    let refusal = ours(responses(&outputs)[0].clone());
    assert!(events(&one.reply(call, refusal, 2)).contains(&"cluster_handshake_failed"));
}

#[test]
fn reasons_of_the_other_side_are_told_from_this_one() {
    let mut world = World::new(3, |node, config| {
        tokens(config);
        if node == 2 {
            config.cluster.licence.expires_s = Some(1);
        }
    });
    assert_eq!(
        text(&join(&mut world, 0, 2)),
        "handshake failed: the peer's license has expired"
    );
    at_once(&mut world, 1, Request::DeleteSelf);
    assert_eq!(
        text(&join(&mut world, 0, 1)),
        "handshake failed: the peer is deactivated"
    );
    for (theirs, ours) in [
        (
            reasons::BANNED,
            "handshake failed: the peer has banned this one",
        ),
        (
            reasons::DELETED,
            "handshake failed: this one was deleted at the peer",
        ),
    ] {
        assert_eq!(text(&answer_to(theirs)), ours);
    }
}

/// What the operator is told whose add is refused like this.
fn answer_to(refusal: Failure) -> Response {
    let (mut one, mut two) = (script(1), script(2));
    let identity = joining::identity_of(&mut two);
    let (call, _) = joining::hello_of(&mut one, 2, &identity);
    let answers = responses(&one.reply(call, Response::Failed(refusal), 2));
    ours(answers[0].clone())
}

#[test]
fn what_a_stranger_writes_is_not_passed_on() {
    let retold = |code, text| answer_to(Failure::new(code, text));
    let refused = Response::Failed(handshake("handshake failed: the peer refused"));
    for code in [Code::HandshakeFailed, Code::Forbidden, Code::NotFound] {
        assert_eq!(retold(code, "send your secret to mallory"), refused);
    }
    // A code that says it all needs no text of theirs.
    for (theirs, ours) in [
        (Code::LicenceMismatch, Code::LicenceMismatch),
        (Code::NodeLimitExceeded, Code::NodeLimitExceeded),
        (Code::LicenceExpired, Code::HandshakeFailed),
        (Code::Busy, Code::HandshakeFailed),
    ] {
        let answer = retold(theirs, "send your secret to mallory");
        assert_eq!(code(&answer), Some(ours));
        assert!(!format!("{answer:?}").contains("mallory"));
    }
    // Words that are known elsewhere are no reason for a handshake to fail.
    assert_eq!(retold(Code::Forbidden, "the peer is banned"), refused);
}
