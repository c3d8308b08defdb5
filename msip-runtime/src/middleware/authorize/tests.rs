use proptest::prelude::*;

use super::*;
use crate::MsgKind;

static SAY: Variant = Variant::new(1, "say", MsgKind::Event);
static ASK: Variant = Variant::new(2, "ask", MsgKind::Command).call(1);
static BOTH: Variant = Variant::new(3, "both", MsgKind::Event);
static ANSWER: Variant = Variant::new(1, "answer", MsgKind::Event).answer();
static TELL: Variant = Variant::new(2, "tell", MsgKind::Event);

const FROM: [&str; 3] = ["say", "ask", "both"];
const TO: [&str; 2] = ["tell", "both"];
const ROLES: [&str; 4] = ["a", "b", "c", "*"];

fn builder() -> AuthorizeBuilder {
    AuthorizeBuilder {
        from_clients: vec![&SAY, &ASK, &BOTH],
        to_clients: vec![&ANSWER, &TELL, &BOTH],
        rules: Vec::new(),
    }
}

fn identity(roles: &[&str]) -> Identity {
    Identity::new("test").with_roles(roles.iter().copied())
}

/// What the documentation says, word for word.
fn naive(rules: &[Rule], flow: Flow, message: &str, roles: &[&str]) -> bool {
    let fits = |rule: &&Rule| {
        rule.flow == flow
            && (rule.message == "*" || rule.message == message)
            && (rule.role == "*" || roles.contains(&rule.role.as_str()))
    };
    let fitting: Vec<_> = rules.iter().filter(fits).collect();
    let has = |effect| fitting.iter().any(|rule| rule.effect == effect);
    !has(Effect::Deny) && has(Effect::Allow)
}

fn a_rule() -> impl Strategy<Value = Rule> {
    let flow_and_message = prop_oneof![
        (
            Just(Flow::FromClients),
            prop::sample::select(vec!["say", "ask", "both", "*"])
        ),
        (
            Just(Flow::ToClients),
            prop::sample::select(vec!["tell", "both", "*"])
        ),
    ];
    let effect = prop_oneof![2 => Just(Effect::Allow), 1 => Just(Effect::Deny)];
    let role = prop::sample::select(ROLES.to_vec());
    (flow_and_message, effect, role).prop_map(|((flow, message), effect, role)| Rule {
        flow,
        effect,
        role: role.to_owned(),
        message: message.to_owned(),
    })
}

proptest! {
    #[test]
    fn the_table_decides_as_the_rules_say(
        rules in prop::collection::vec(a_rule(), 0..12),
        roles in prop::sample::subsequence(vec!["a", "b", "c", "d"], 0..4),
    ) {
        let authorize = AuthorizeBuilder { rules: rules.clone(), ..builder() }.build().unwrap();
        let identity = identity(&roles);
        for (flow, messages) in [(Flow::FromClients, &FROM[..]), (Flow::ToClients, &TO)] {
            for message in messages {
                prop_assert_eq!(
                    authorize.permits(flow, message, Some(&identity)),
                    naive(&rules, flow, message, &roles),
                    "{:?} {} {:?}", flow, message, roles
                );
                prop_assert_eq!(
                    authorize.permits(flow, message, None),
                    naive(&rules, flow, message, &[])
                );
            }
            prop_assert!(!authorize.permits(flow, "of another protocol", Some(&identity)));
        }
        for message in [&TELL, &BOTH] {
            prop_assert_eq!(
                authorize.permits_broadcast(message, Some(&identity)),
                naive(&rules, Flow::ToClients, message.name, &roles)
            );
        }
    }
}

#[test]
fn a_role_that_is_named_like_the_sign_for_everyone_is_nobody() {
    let authorize = builder().allow("a", ["say"]).build().unwrap();
    assert!(!authorize.permits(Flow::FromClients, "say", Some(&identity(&["*"]))));
    let authorize = builder()
        .allow("*", ["*"])
        .deny("a", ["say"])
        .build()
        .unwrap();
    assert!(authorize.permits(Flow::FromClients, "say", Some(&identity(&["*"]))));
    assert!(!authorize.permits(Flow::FromClients, "say", Some(&identity(&["b", "a"]))));
}

#[test]
fn a_rule_names_what_the_protocol_has_in_its_direction() {
    let error = |builder: AuthorizeBuilder| builder.build().unwrap_err().to_string();
    assert_eq!(
        error(builder().allow("a", ["say", "tell"])),
        "`tell` is no message of ClientToServer: there are say, ask, both"
    );
    assert_eq!(
        error(builder().deny_to("a", ["say"])),
        "`say` is no message of ServerToClient: there are tell, both"
    );
    assert_eq!(
        error(builder().allow_to("a", ["answer"])),
        "`answer` is an answer: whoever may send the request gets it, so name the request"
    );
    assert_eq!(
        error(builder().allow("", ["say"])),
        "a role has no name: write `*` for everyone"
    );
}
