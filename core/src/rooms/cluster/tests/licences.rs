//! What a licence allows, and how a node comes by one.

use super::*;

/// What a seller has still to sign.
fn unsigned() -> SignedLicence {
    SignedLicence {
        customer_id: "cust_1".into(),
        licence_id: "lic_1".into(),
        issued_s: 1,
        expires_s: crate::scripted::EPOCH + 9_000,
        nodes_max: 3,
        services_max: 0,
        signature: [0; 64],
    }
}

#[test]
fn expired_licence_allows_reading_only() {
    let mut script = {
        let mut config = config(1);
        tokens(&mut config);
        config.cluster.licence.expires_s = Some(crate::scripted::EPOCH);
        Script::new(config)
    };
    let own = Some(script.node.config().cluster.peer_id);
    let rename = Request::RenamePeer(own, Ok(None));
    for request in [add(2), rename, Request::DeleteSelf] {
        let answer = ask(&mut script, ADMIN, request);
        assert_eq!(code(&answer), Some(Code::LicenceExpired));
    }
    let peers = ask(&mut script, ADMIN, Request::Peers(Ok(None)));
    assert!(matches!(peers, Response::Peers(_)));
    // Nor does it take in who comes by itself.
    let mut world = World::new(2, |node, config| {
        tokens(config);
        config.cluster.licence.expires_s = (node == 1).then_some(crate::scripted::EPOCH);
    });
    assert_eq!(code(&join(&mut world, 0, 1)), Some(Code::HandshakeFailed));
    assert!((0..2).all(|node| room(&world, node).members.is_empty()));
}

#[test]
fn bootstrap_needs_a_licence_of_the_trusted_key() {
    let seller = SigningKey::from_bytes(&[77; 32]);
    let mut config = config(1);
    config.cluster.licence_key = Some(PublicKey(seller.verifying_key().to_bytes()));
    let mut script = Script::new(config);
    let mut licence = unsigned();
    let hand_in = |script: &mut Script, licence: &SignedLicence| {
        let licence = licence.clone();
        let name = Some("first".to_owned());
        let request = Request::from(Bootstrap { licence, name });
        ours(script.ask(operator(), request.into()).expect("an answer"))
    };
    let refused = hand_in(&mut script, &licence);
    assert_eq!(code(&refused), Some(Code::LicenceInvalid));
    assert!(script.exported().is_empty());
    licence.signature = seller.sign(&licence.message()).to_bytes();
    let Response::Bootstrapped(made) = hand_in(&mut script, &licence) else {
        panic!("refused");
    };
    assert_eq!(made.licence.id, "lic_1");
    let token = token_for(&mut script, &made.client_id, &made.secret.0);
    assert!(matches!(
        ask(&mut script, &token, Request::Status),
        Response::Status(_)
    ));
    let again = hand_in(&mut script, &licence);
    assert_eq!(code(&again), Some(Code::AlreadyBootstrapped));
    script.advance(secs(2));
    assert_eq!(script.durable(), script.exported());
    // Without a key to check it with, nobody becomes administrator.
    let mut closed = Script::new(crate::scripted::config(1));
    let refused = hand_in(&mut closed, &licence);
    assert_eq!(code(&refused), Some(Code::AlreadyBootstrapped));
}

#[test]
fn peers_of_a_former_licence_are_told_of_once() {
    let mut world = world(2);
    assert_eq!(join(&mut world, 0, 1).status(), 201);
    world.until(secs(1), |_| false);
    // Both sides of a handshake know under which licence it was.
    for script in &world.nodes {
        let mut config = script.node.config().as_ref().clone();
        let changes = |config: &Config, rows| {
            let mut script = Script::restore(config.clone(), rows);
            let told = events(&script.advance(secs(1)));
            assert_eq!(script.durable(), script.exported());
            (told.contains(&"cluster_licence_changed"), script.durable())
        };
        let (told, rows) = changes(&config, script.durable());
        assert!(!told, "it is the same licence");
        config.cluster.licence.id = "lic_other".into();
        let (told, rows) = changes(&config, rows);
        assert!(told);
        assert!(!changes(&config, rows).0, "once is enough");
    }
}

#[test]
fn licence_of_which_no_peer_came_is_changed_without_a_word() {
    let mut world = world(2);
    let rename = Request::RenamePeer(Some(peer_id(&world, 1)), Ok(Some("second".into())));
    at_once(&mut world, 1, rename);
    // It has a row of its own under one licence, and its first peer comes under another.
    for node in 0..2 {
        let script = &world.nodes[node];
        let mut config = script.node.config().as_ref().clone();
        config.cluster.licence.id = "lic_other".into();
        let now = script.now;
        world.nodes[node] = Script::restore(config, script.durable());
        world.nodes[node].now = now;
    }
    world.answers.clear();
    assert_eq!(join(&mut world, 0, 1).status(), 201);
    world.until(secs(1), |_| false);
    let config = world.nodes[1].node.config().as_ref().clone();
    let mut again = Script::restore(config, world.nodes[1].durable());
    assert!(!events(&again.advance(secs(1))).contains(&"cluster_licence_changed"));
}

#[test]
fn licence_is_replaced_by_one_of_the_same_cluster() {
    let seller = SigningKey::from_bytes(&[77; 32]);
    let sold = |id: &str, customer: &str, change: &dyn Fn(&mut SignedLicence)| {
        let mut licence = SignedLicence {
            customer_id: customer.into(),
            licence_id: id.into(),
            nodes_max: 7,
            ..unsigned()
        };
        change(&mut licence);
        licence.signature = seller.sign(&licence.message()).to_bytes();
        Request::ReplaceLicence(Ok(Box::new(licence)))
    };
    let as_it_is = |_: &mut SignedLicence| {};
    let mut world = World::new(2, |_, config| {
        tokens(config);
        config.cluster.licence_key = Some(PublicKey(seller.verifying_key().to_bytes()));
    });
    let refused = |world: &mut World, request: Request, expected: Code| {
        let before = world.nodes[0].exported();
        let answer = at_once(world, 0, request);
        assert_eq!(code(&answer), Some(expected), "{answer:?}");
        assert_eq!(world.nodes[0].exported(), before);
    };
    // A node without peers takes any licence of the seller's, the first one too.
    for node in 0..2 {
        let answer = at_once(&mut world, node, sold("lic_1", "cust_1", &as_it_is));
        assert!(matches!(&answer, Response::Licence(it) if it.nodes_max == 7));
    }
    assert_eq!(join(&mut world, 0, 1).status(), 201);

    let expired = sold("lic_2", "cust_1", &|licence| {
        licence.expires_s = crate::scripted::EPOCH;
    });
    refused(&mut world, expired, Code::LicenceExpired);
    let other = sold("lic_1", "cust_2", &as_it_is);
    refused(&mut world, other, Code::LicenceMismatch);
    let mut forged = sold("lic_2", "cust_1", &as_it_is);
    if let Request::ReplaceLicence(Ok(licence)) = &mut forged {
        licence.nodes_max += 1;
    }
    refused(&mut world, forged, Code::LicenceInvalid);

    // A renewal has another name, and the customer's.
    let renewed = at_once(&mut world, 0, sold("lic_2", "cust_1", &as_it_is));
    assert!(matches!(&renewed, Response::Licence(it) if it.id == "lic_2"));
    assert!(all_know_all(&world));
    let again = at_once(&mut world, 0, Request::Licence);
    assert_eq!(again, renewed);
    world.until(secs(3), |_| false);
    check_disks(&world);

    // What an operator has configured is not overruled, and without a key nothing is believed.
    for given in [true, false] {
        let mut config = config(1);
        tokens(&mut config);
        if given {
            config.cluster.licence.id = "lic_given".into();
            config.cluster.licence_key = Some(PublicKey(seller.verifying_key().to_bytes()));
        }
        let mut script = Script::new(config);
        let answer = ask(&mut script, ADMIN, sold("lic_1", "cust_1", &as_it_is));
        assert_eq!(code(&answer), Some(Code::LicenceInvalid));
        assert!(script.exported().is_empty());
    }
}

#[test]
fn who_has_left_can_come_back_with_a_new_bootstrap() {
    let seller = SigningKey::from_bytes(&[77; 32]);
    let mut world = World::new(2, |_, config| {
        tokens(config);
        config.cluster.licence_key = Some(PublicKey(seller.verifying_key().to_bytes()));
    });
    let mut licence = unsigned();
    licence.signature = seller.sign(&licence.message()).to_bytes();
    let hand_in = || {
        let licence = licence.clone();
        Request::from(Bootstrap {
            licence,
            name: None,
        })
    };
    for node in 0..2 {
        let answer = at_once(&mut world, node, hand_in());
        assert!(matches!(answer, Response::Bootstrapped(_)), "{answer:?}");
    }
    assert_eq!(join(&mut world, 0, 1).status(), 201);
    let early = at_once(&mut world, 0, hand_in());
    assert_eq!(code(&early), Some(Code::AlreadyBootstrapped));
    at_once(&mut world, 0, Request::DeleteSelf);
    world.until(secs(1), |_| false);
    assert!(!knows(&world, 1, 0));
    let answer = at_once(&mut world, 0, hand_in());
    assert!(matches!(answer, Response::Bootstrapped(_)), "{answer:?}");
    // Even if only one of them hears how the handshake ended.
    let id = world.ask_as(1, bearing(ADMIN), add(1).into());
    let hello = |it: &(usize, usize, crate::Request)| {
        (it.0, it.1) == (1, 0) && it.2.name() == "cluster_handshake"
    };
    assert!(world.until(secs(5), |world| world.log.iter().any(hello)));
    world.lose_answers = 1;
    assert!(world.until(secs(1), |world| knows(world, 0, 1)));
    assert!(!knows(&world, 1, 0));
    assert!(world.until(secs(30), all_know_all));
    assert_eq!(settle(&mut world, 1, id).status(), 201);
    world.until(secs(3), |_| false);
    check_disks(&world);
}

#[test]
fn licence_of_the_operator_comes_before_one_that_was_handed_in() {
    let id = |config: &Config| {
        let licence = Licence {
            id: "lic_bought".into(),
            ..Licence::default()
        };
        let rows = vec![Row::Bought(Some(Bought { licence })).into()];
        let mut script = Script::restore(config.clone(), rows);
        match ask(&mut script, ADMIN, Request::Licence) {
            Response::Licence(licence) => licence.id,
            other => panic!("{other:?}"),
        }
    };
    let mut config = config(1);
    tokens(&mut config);
    assert_eq!(id(&config), "lic_bought");
    config.cluster.licence.id = "lic_given".into();
    assert_eq!(id(&config), "lic_given");
}
