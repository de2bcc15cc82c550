use std::time::Duration;

use exai_proto::frame::{Opcode, put_header};
use exai_supervisor::outbox::{Outbox, outbox};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, sleep};

use super::*;

/// A connection, and the server's end of it.
async fn connected() -> (Reader<DuplexStream>, Writer<DuplexStream>, DuplexStream) {
    let (here, there) = duplex(1 << 20);
    let (reader, writer) = begin(here).await;
    (reader, writer, there)
}

async fn speaking(server: DuplexStream) -> WebSocketStream<DuplexStream> {
    WebSocketStream::from_raw_socket(server, Role::Server, None).await
}

/// What is heard next while what waits is written.
async fn hear(
    reader: &mut Reader<DuplexStream>,
    writer: &mut Writer<DuplexStream>,
    waiting: &mut Drain,
) -> Result<String, Ending> {
    tokio::select! {
        line = reader.next() => match line? {
            Line::Whole(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            line @ Line::TooLong(_) => panic!("{line:?}"),
        },
        ending = writer.write_messages(waiting) => Err(ending),
    }
}

fn queue() -> (Outbox, Drain) {
    outbox(MESSAGE_BYTES)
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_no_ping_is_given_up() {
    let (mut reader, mut writer, _server) = connected().await;
    let (_outbox, mut waiting) = queue();
    let begun = Instant::now();
    let ending = hear(&mut reader, &mut writer, &mut waiting).await.unwrap_err();
    assert_eq!(ending, Ending::lost("has not answered a ping for 20 s"));
    assert_eq!(begun.elapsed().as_secs(), 40);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_only_answers_pings_is_kept_until_it_says_why_it_goes() {
    let (mut reader, mut writer, server) = connected().await;
    let (_outbox, mut waiting) = queue();
    let mut server = speaking(server).await;
    let serving = async {
        let (begun, mut pings) = (Instant::now(), 0);
        while begun.elapsed() < Duration::from_mins(5) {
            pings += u32::from(server.next().await.unwrap().unwrap().is_ping());
        }
        let reason = Utf8Bytes::from_static("restarting");
        let frame = CloseFrame { code: CloseCode::Restart, reason };
        server.send(Message::Close(Some(frame))).await.unwrap();
        pings
    };
    let (ending, pings) = tokio::join!(hear(&mut reader, &mut writer, &mut waiting), serving);
    assert_eq!(ending, Err(Ending::lost("closed the connection (1012: restarting)")));
    assert_eq!(pings, 15);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_arrives_slowly_is_no_silence() {
    let (mut reader, mut writer, mut server) = connected().await;
    let (_outbox, mut waiting) = queue();
    let trickling = async {
        let mut frame = Vec::new();
        put_header(&mut frame, Opcode::Text, 12, None);
        frame.extend(b"{\"a\":123456}");
        for byte in frame {
            server.write_all(&[byte]).await.unwrap();
            sleep(Duration::from_secs(15)).await;
        }
    };
    let (heard, ()) = tokio::join!(hear(&mut reader, &mut writer, &mut waiting), trickling);
    assert_eq!(heard.as_deref(), Ok("{\"a\":123456}"));
}

#[tokio::test]
async fn text_and_binary_frames_are_heard_alike() {
    let (mut reader, mut writer, server) = connected().await;
    let (_outbox, mut waiting) = queue();
    let mut server = speaking(server).await;
    for said in [Message::text("{}"), Message::binary(&b" [1]"[..])] {
        server.send(said).await.unwrap();
    }
    for expected in ["{}", " [1]"] {
        let heard = hear(&mut reader, &mut writer, &mut waiting).await;
        assert_eq!(heard.as_deref(), Ok(expected));
    }
}

#[tokio::test]
async fn what_breaks_the_rules_ends_the_connection_with_its_code() {
    let text = |payload: &[u8], opcode| {
        let mut frame = Vec::new();
        put_header(&mut frame, opcode, payload.len(), None);
        frame.extend(payload);
        frame
    };
    let mut too_long = Vec::new();
    put_header(&mut too_long, Opcode::Text, MESSAGE_BYTES + 1, None);
    for (frame, said, code) in [
        (text(b"\xff", Opcode::Text), "sent text that is no UTF-8", CloseCode::Invalid),
        (text(b"\xff", Opcode::Binary), "sent a binary frame that is no UTF-8", CloseCode::Invalid),
        (too_long, "sent a message that is longer than 32 MiB", CloseCode::Size),
        (vec![0xF1, 0], "broke the WebSocket protocol: Reserved bits", CloseCode::Protocol),
    ] {
        let (mut reader, mut writer, mut server) = connected().await;
        let (_outbox, mut waiting) = queue();
        server.write_all(&frame).await.unwrap();
        let ending = hear(&mut reader, &mut writer, &mut waiting).await.unwrap_err();
        assert!(ending.reason.starts_with(said), "{ending:?}");
        writer.close(ending.farewell).await;
        let told = speaking(server).await.next().await;
        let Some(Ok(Message::Close(Some(frame)))) = told else { panic!("{said}: {told:?}") };
        assert_eq!(frame.code, code, "{said}");
    }
}

#[tokio::test]
async fn what_waits_is_sent_before_the_connection_is_closed() {
    let (mut reader, mut writer, server) = connected().await;
    let (outbox, mut waiting) = queue();
    for message in ["{\"a\":1}", "{\"a\":2}"] {
        outbox.push(Bytes::from_static(message.as_bytes())).unwrap();
    }
    outbox.close();
    let mut server = speaking(server).await;
    let serving = async {
        let mut heard = Vec::new();
        while let Some(Ok(message)) = server.next().await {
            heard.push(message);
        }
        heard
    };
    let ((), heard) = tokio::join!(writer.close_after(&mut waiting, &mut reader), serving);
    let goodbye = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
    let messages = ["{\"a\":1}", "{\"a\":2}"].map(Message::text);
    assert_eq!(heard, [&messages[..], &[Message::Close(Some(goodbye))]].concat());
}
