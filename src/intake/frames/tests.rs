//! Frames of made-up and of real answers, cut at any place.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed test may panic")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::carry::KEEP;
use super::*;

const CONFIGMAPS: &[u8] = include_bytes!("../../../tests/data/wire/configmaps.list.bin");
const PARTIAL_CONFIGMAPS: &[u8] = include_bytes!("../../../tests/data/wire/configmaps.metadata-list.bin");
const NAMESPACES: &[u8] = include_bytes!("../../../tests/data/wire/namespaces.watch.bin");
const SECRETS: &[u8] = include_bytes!("../../../tests/data/wire/secrets.table-list.json");
const SECRET_EVENTS: &[u8] = include_bytes!("../../../tests/data/wire/secrets.table-watch.jsonl");

/// The parts as text.
type Parts = Vec<String>;

fn shown(part: ListPart<'_>) -> String {
    match part {
        ListPart::Kind(kind) => format!("kind {kind}"),
        ListPart::Metadata { version, next } => format!("metadata {version} {next}"),
        ListPart::Columns(text) => format!("columns {}", String::from_utf8_lossy(text)),
        ListPart::Item(bytes) => format!("item {bytes:?}"),
    }
}

fn list(encoding: Encoding, chunks: &[&[u8]]) -> Result<Parts, FrameError> {
    let mut frames = ListFrames::new(encoding);
    let mut parts = Vec::new();
    for chunk in chunks {
        frames.feed(chunk, |part| {
            parts.push(shown(part));
            Ok::<_, FrameError>(())
        })?;
    }
    frames.finish().map(|()| parts)
}

fn watch(encoding: Encoding, chunks: &[&[u8]]) -> Result<Vec<Vec<u8>>, FrameError> {
    let mut frames = WatchFrames::new(encoding);
    let mut found = Vec::new();
    for chunk in chunks {
        frames.feed(chunk, |frame| {
            found.push(frame.to_vec());
            Ok::<_, FrameError>(())
        })?;
    }
    Ok(found)
}

fn cut<'a>(bytes: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<_> = cuts.iter().map(|c| c.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect()
}

fn cuts() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 0..8)
}

fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend(content);
    out
}

fn protobuf_list(items: &[Vec<u8>]) -> Vec<u8> {
    let metadata = [field(2, b"17"), field(3, b"next"), vec![0x20, 0x85, 0x01]].concat();
    let raw: Vec<u8> =
        std::iter::once(field(1, &metadata)).chain(items.iter().map(|i| field(2, i))).flatten().collect();
    let kind = [field(1, b"v1"), field(2, b"PodList")].concat();
    [MAGIC_BYTES.to_vec(), field(1, &kind), field(2, &raw), field(3, b""), field(4, b"")].concat()
}

const MAGIC_BYTES: &[u8] = b"k8s\0";

proptest! {
    #[test]
    fn a_protobuf_list_gives_its_items_wherever_it_is_cut(
        items in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6),
        cuts in cuts(),
    ) {
        let bytes = protobuf_list(&items);
        let mut expected = vec!["kind PodList".to_owned(), "metadata 17 next".to_owned()];
        expected.extend(items.iter().map(|item| format!("item {item:?}")));
        prop_assert_eq!(list(Encoding::Protobuf, &cut(&bytes, &cuts)), Ok(expected));
    }

    #[test]
    fn a_list_that_is_cut_off_is_not_whole(
        items in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..6), end in any::<prop::sample::Index>(),
    ) {
        let bytes = protobuf_list(&items);
        // The last two fields of the envelope are empty; without them the list is whole.
        let end = end.index(bytes.len() - 4);
        prop_assert_eq!(list(Encoding::Protobuf, &[&bytes[..end]]), Err(FrameError::Truncated));
        let text = serde_json::to_vec(&json!({"kind": "L", "items": items})).unwrap();
        let end = end % text.len();
        prop_assert_eq!(list(Encoding::Json, &[&text[..end]]), Err(FrameError::Truncated));
    }

    #[test]
    fn a_json_list_gives_its_items_wherever_it_is_cut(
        items in prop::collection::vec(crate::intake::json::tests::any_json(), 0..6),
        cuts in cuts(), pretty: bool, rows: bool,
    ) {
        let members = [
            ("items", Value::from(items.clone())),
            ("kind", json!("PodList")),
            ("other", json!({"items": [1, {"kind": "x"}]})),
            ("metadata", json!({"continue": "a\"b", "remainingItemCount": 3, "resourceVersion": "17"})),
        ];
        let texts: Vec<_> = members.iter().map(|(key, value)| {
            let value = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) }.unwrap();
            format!("\"{}\" : {value}", if rows && *key == "items" { "rows" } else { key })
        }).collect();
        let bytes = format!("{{ {} }}\n", texts.join(" ,\n"));
        let mut frames = ListFrames::new(Encoding::Json);
        let (mut found, mut rest) = (Vec::new(), Vec::new());
        for chunk in cut(bytes.as_bytes(), &cuts) {
            frames.feed(chunk, |part| {
                match part {
                    ListPart::Item(text) => found.push(serde_json::from_slice::<Value>(text).expect("the text of an item")),
                    other => rest.push(shown(other)),
                }
                Ok::<_, FrameError>(())
            }).unwrap();
        }
        prop_assert_eq!(frames.finish(), Ok(()));
        prop_assert_eq!(found, items);
        prop_assert_eq!(rest, ["kind PodList", "metadata 17 a\"b"]);
    }

    #[test]
    fn a_watch_gives_its_frames_wherever_it_is_cut(
        events in prop::collection::vec(prop::collection::vec(1_u8.., 1..300), 0..6), cuts in cuts(),
    ) {
        let framed: Vec<u8> = events.iter().flat_map(|e| [&(e.len() as u32).to_be_bytes()[..], e].concat()).collect();
        prop_assert_eq!(watch(Encoding::Protobuf, &cut(&framed, &cuts)), Ok(events.clone()));
        let lines: Vec<Vec<u8>> = events.iter().map(|e| format!("\"{}\"", String::from_utf8_lossy(e).escape_default()).into_bytes()).collect();
        let text: Vec<u8> = lines.iter().flat_map(|l| [l, &b"\n"[..]].concat()).collect();
        prop_assert_eq!(watch(Encoding::Json, &cut(&text, &cuts)), Ok(lines));
    }

    #[test]
    fn arbitrary_bytes_panic_nowhere(mut bytes in prop::collection::vec(any::<u8>(), 0..200), cuts in cuts(), json in r#"[{}\[\]",:\\ a1]{0,60}"#, magic: bool) {
        if magic {
            bytes.splice(0..0, MAGIC_BYTES.iter().copied());
        }
        let _ = list(Encoding::Protobuf, &cut(&bytes, &cuts));
        let _ = watch(Encoding::Protobuf, &cut(&bytes, &cuts));
        let _ = list(Encoding::Json, &cut(json.as_bytes(), &cuts));
        let _ = list(Encoding::Json, &cut(&bytes, &cuts));
        let _ = watch(Encoding::Json, &cut(&bytes, &cuts));
    }

    #[test]
    fn a_damaged_list_panics_nowhere(at in any::<prop::sample::Index>(), byte: u8, cuts in cuts()) {
        for (encoding, real) in [(Encoding::Protobuf, CONFIGMAPS), (Encoding::Json, SECRETS)] {
            let mut bytes = real.to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = list(encoding, &cut(&bytes, &cuts));
        }
    }
}

#[test]
fn real_lists_are_understood() {
    for (bytes, kind, first) in
        [(CONFIGMAPS, "kind ConfigMapList", 236 + 3), (PARTIAL_CONFIGMAPS, "kind PartialObjectMetadataList", 215 + 3)]
    {
        let parts = list(Encoding::Protobuf, &[bytes]).unwrap();
        assert_eq!(parts[0], kind);
        assert!(parts[1].starts_with("metadata 3286 eyJ2IjoibWV0YS5rOHMuaW8vdjEi"), "{}", parts[1]);
        assert_eq!(parts.len(), 4);
        assert!(parts[2].len() > first);
    }
    let parts = list(Encoding::Json, &[SECRETS]).unwrap();
    let starts: Vec<_> = parts.iter().map(|p| p.split_whitespace().next().unwrap()).collect();
    assert_eq!(starts, ["kind", "metadata", "columns", "item", "item"]);
}

#[test]
fn real_watches_are_understood() {
    let frames = watch(Encoding::Protobuf, &[NAMESPACES]).unwrap();
    assert_eq!(frames.len(), 15);
    assert!(frames.iter().all(|f| f.starts_with(b"\x0a\x05ADDED") || f.starts_with(b"\x0a\x08BOOKMARK")));
    assert_eq!(watch(Encoding::Json, &[SECRET_EVENTS]).unwrap().len(), 3);
}

#[test]
fn a_frame_beyond_any_object_is_an_error_and_not_a_reservation() {
    assert_eq!(watch(Encoding::Protobuf, &[&[0xff; 4]]), Err(FrameError::TooLarge(0xffff_ffff)));
    let claim = [MAGIC_BYTES, &[0x12, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x12, 0xff, 0xff, 0xff, 0x7f]].concat();
    assert_eq!(list(Encoding::Protobuf, &[&claim]), Err(FrameError::TooLarge(0x0fff_ffff)));
    let chunk = [b'a'; KEEP];
    let mut lines = WatchFrames::new(Encoding::Json);
    let result = (0..80).try_for_each(|_| lines.feed(&chunk, |_| Ok::<_, FrameError>(())));
    assert!(matches!(result, Err(FrameError::TooLarge(_))), "{result:?}");
}

#[test]
fn an_item_longer_than_its_list_is_an_error() {
    let bytes = [MAGIC_BYTES, &[0x12, 0x03, 0x12, 0x05, 1, 2, 3, 4, 5]].concat();
    assert!(matches!(list(Encoding::Protobuf, &[&bytes]), Err(FrameError::Protobuf(_))));
}
