//! Values of every message, at random.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::collection::{btree_map, hash_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::derived::{
    Circle, Closing, Content, Encodings, Id, Letter, Light, Many, Maps, Mood, Optionals, Scalars,
    Shape, Times, Tree, VehicleState,
};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "\\PC{1,8}"]
}

fn blob() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..6)
}

/// Zero as often as not, since it is what is not written.
fn number<T: Arbitrary + Default + Clone + 'static>() -> impl Strategy<Value = T> {
    prop_oneof![Just(T::default()), any::<T>()]
}

pub(crate) fn float() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), prop::num::f64::NORMAL]
}

pub(crate) fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        Just(Mood::Unknown),
        Just(Mood::Merry),
        Just(Mood::Grumpy),
        (2..1000).prop_map(Mood::Other),
    ]
}

pub(crate) fn tree() -> impl Strategy<Value = Tree> {
    let leaf = text().prop_map(|name| Tree {
        name,
        ..Tree::default()
    });
    leaf.prop_recursive(3, 12, 2, |inner| {
        (
            text(),
            option::of(inner.clone()),
            vec(inner.clone(), 0..2),
            btree_map(text(), inner, 0..2),
        )
            .prop_map(|(name, left, others, named)| Tree {
                name,
                left: left.map(Box::new),
                others,
                named,
            })
    })
}

pub(crate) fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        float().prop_map(|radius| Shape::Circle(Circle { radius })),
        text().prop_map(Shape::Text),
        number().prop_map(Shape::Number),
        Just(Shape::Nothing),
        mood().prop_map(Shape::Mood),
        blob().prop_map(Shape::Raw),
        tree().prop_map(|tree| Shape::Tree(Box::new(tree))),
        Just(Shape::Unknown),
    ]
}

pub(crate) fn letter() -> impl Strategy<Value = Letter> {
    let closing = || {
        prop_oneof![
            mood().prop_map(Closing::Mood),
            blob().prop_map(|seal| Closing::Seal(seal.into())),
            Just(Closing::Open),
        ]
    };
    let content = prop_oneof![
        text().prop_map(Content::Text),
        float().prop_map(|radius| Content::Circle(Circle { radius })),
        Just(Content::Nothing),
        number().prop_map(Content::Count),
    ];
    let parts = move |content: BoxedStrategy<Option<Content>>| {
        let parts = (vec(text(), 0..3), text(), content, number(), closing());
        parts.prop_map(|(copies, author, content, stars, closing)| Letter {
            copies,
            author,
            content,
            stars,
            closing,
        })
    };
    parts(option::of(content).boxed()).prop_recursive(3, 4, 1, move |inner| {
        parts(
            inner
                .prop_map(|answer| Some(Content::Answer(Box::new(answer))))
                .boxed(),
        )
    })
}

pub(crate) fn duration() -> impl Strategy<Value = Duration> {
    (number::<u32>(), 0..1_000_000_000_u32)
        .prop_map(|(seconds, nanos)| Duration::new(seconds.into(), nanos))
}

pub(crate) fn time() -> impl Strategy<Value = SystemTime> {
    (any::<bool>(), duration()).prop_map(|(is_after, distance)| {
        if is_after {
            UNIX_EPOCH + distance
        } else {
            UNIX_EPOCH - distance
        }
    })
}

pub(crate) fn scalars() -> impl Strategy<Value = Scalars> {
    let numbers = (
        number(),
        number(),
        number(),
        number(),
        prop::num::f32::NORMAL,
        float(),
        any::<bool>(),
    );
    let rest = (
        text(),
        blob(),
        blob(),
        mood(),
        tree(),
        number(),
        text(),
        shape(),
    );
    (numbers, rest).prop_map(|(numbers, rest)| Scalars {
        a_int32: numbers.0,
        a_int64: numbers.1,
        a_uint32: numbers.2,
        a_uint64: numbers.3,
        a_float: numbers.4,
        a_double: numbers.5,
        a_bool: numbers.6,
        a_string: rest.0,
        a_bytes: rest.1.into(),
        a_vec: rest.2,
        mood: rest.3,
        tree: rest.4,
        id: Id(rest.5),
        r#type: rest.6,
        shape: rest.7,
    })
}

pub(crate) fn encodings() -> impl Strategy<Value = Encodings> {
    let numbers = (number(), number(), number(), number(), number(), number());
    let rest = (
        option::of(number()),
        vec(number(), 0..4),
        hash_map(number(), number(), 0..2),
        btree_map(text(), number(), 0..2),
    );
    (numbers, rest).prop_map(|(numbers, rest)| Encodings {
        small: numbers.0,
        large: numbers.1,
        fixed: numbers.2,
        long_fixed: numbers.3,
        signed_fixed: numbers.4,
        signed_long_fixed: numbers.5,
        maybe: rest.0,
        list: rest.1,
        map: rest.2,
        tree_map: rest.3,
    })
}

pub(crate) fn optionals() -> impl Strategy<Value = Optionals> {
    let scalars = (
        option::of(number()),
        option::of(text()),
        option::of(blob()),
        option::of(any::<bool>()),
        option::of(mood()),
    );
    let rest = (
        option::of(tree()),
        option::of(time()),
        option::of(duration()),
        option::of(number()),
    );
    (scalars, rest).prop_map(|(scalars, rest)| Optionals {
        number: scalars.0,
        text: scalars.1,
        bytes: scalars.2,
        flag: scalars.3,
        mood: scalars.4,
        tree: rest.0,
        at: rest.1,
        lasts: rest.2,
        id: rest.3.map(Id),
    })
}

pub(crate) fn many() -> impl Strategy<Value = Many> {
    let scalars = (
        vec(number(), 0..4),
        vec(text(), 0..4),
        vec(blob(), 0..4),
        vec(any::<bool>(), 0..4),
        vec(float(), 0..4),
    );
    let rest = (
        vec(mood(), 0..4),
        vec(tree(), 0..3),
        vec(shape(), 0..3),
        vec(duration(), 0..3),
        vec(number(), 0..4),
    );
    (scalars, rest).prop_map(|(scalars, rest)| Many {
        numbers: scalars.0,
        texts: scalars.1,
        blobs: scalars.2.into_iter().map(Into::into).collect(),
        flags: scalars.3,
        doubles: scalars.4,
        moods: rest.0,
        trees: rest.1,
        shapes: rest.2,
        waits: rest.3,
        ids: rest.4.into_iter().map(Id).collect(),
    })
}

/// At most one entry each, since the order of entries is any.
pub(crate) fn maps() -> impl Strategy<Value = Maps> {
    (
        btree_map(text(), text(), 0..2),
        hash_map(number(), tree(), 0..2),
        btree_map(number().prop_map(Id), mood(), 0..2),
        hash_map(any::<bool>(), blob(), 0..2),
        hash_map(text(), float(), 0..2),
    )
        .prop_map(|(texts, trees, moods, blobs, doubles)| Maps {
            texts,
            trees,
            moods,
            blobs: blobs
                .into_iter()
                .map(|(key, blob)| (key, blob.into()))
                .collect(),
            doubles,
        })
}

pub(crate) fn times() -> impl Strategy<Value = Times> {
    (time(), duration()).prop_map(|(at, lasts)| Times { at, lasts })
}

pub(crate) fn vehicle_state() -> impl Strategy<Value = VehicleState> {
    (text(), any::<bool>()).prop_map(|(vehicle_id, is_red)| VehicleState {
        vehicle_id,
        light: if is_red {
            Light::Red
        } else {
            Light::AmberFlashing
        },
    })
}
