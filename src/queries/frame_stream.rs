//! Frame Streams, the framing of dnstap: each frame has its length before it, and a length of 0 begins a control frame. A sender on a
//! socket may first offer content types and wait for an answer (golang-framestream 0.3.0, `Control.go`). Must not know what a frame
//! holds.

use std::io::{self, Read, Write};

/// The most bytes of a control frame (farsightsec/fstrm `FSTRM_CONTROL_FRAME_LENGTH_MAX`).
const CONTROL_MAX: u32 = 512;

/// The most bytes of a data frame: a DNS message has at most 64 KiB, and dnstap can hold the query beside the answer.
const DATA_MAX: u32 = 256 * 1024;

/// Control frames.
const ACCEPT: u32 = 1;
const START: u32 = 2;
const STOP: u32 = 3;
const READY: u32 = 4;
const FINISH: u32 = 5;

/// The field of a control frame that names a content type.
const CONTENT_TYPE: u32 = 1;

/// Why a stream cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Reading or answering failed, or the stream ends within a frame.
    #[error("cannot read the frame stream: {0}")]
    Io(#[from] io::Error),
    /// The stream begins with something else, or holds another content type.
    #[error("this is no frame stream of {0}")]
    OtherContent(String),
    /// A frame is longer than any message.
    #[error("a frame of {0} bytes is too long")]
    TooLong(u32),
}

/// A reader of frames. Answers go to `answers`, which a file has none of.
pub struct FrameReader<R, W> {
    input: R,
    answers: Option<W>,
    content_type: &'static [u8],
    has_started: bool,
    frame: Vec<u8>,
}

/// A control frame.
struct Control {
    kind: u32,
    content_types: Vec<Vec<u8>>,
}

// === impl FrameReader ===

impl<R: Read, W: Write> FrameReader<R, W> {
    /// Returns a reader of frames with this content type.
    pub fn new(input: R, answers: Option<W>, content_type: &'static [u8]) -> Self {
        Self { input, answers, content_type, has_started: false, frame: Vec::new() }
    }

    /// Reads until the stream starts: a sender says which content type it has before it has data. Returns false if the stream ends.
    ///
    /// # Errors
    /// The stream cannot be read, or is none of this content type.
    pub fn start(&mut self) -> Result<bool, FrameError> {
        while !self.has_started {
            match self.length()? {
                None => return Ok(false),
                Some(0) if self.is_stopped_by_control()? => return Ok(false),
                Some(0) => {}
                Some(_) => return Err(self.other_content()),
            }
        }
        Ok(true)
    }

    /// Returns the next data frame; `None` at the end of the stream.
    ///
    /// # Errors
    /// The stream cannot be read, or is none of this content type.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        if !self.start()? {
            return Ok(None);
        }
        loop {
            match self.length()? {
                None => return Ok(None),
                Some(0) if self.is_stopped_by_control()? => return Ok(None),
                Some(0) => {}
                Some(length) if length > DATA_MAX => return Err(FrameError::TooLong(length)),
                Some(length) => {
                    self.read_frame(length)?;
                    return Ok(Some(&self.frame));
                }
            }
        }
    }

    /// Reads a control frame, answers it, and returns whether it ends the stream.
    fn is_stopped_by_control(&mut self) -> Result<bool, FrameError> {
        let Control { kind, content_types } = self.control()?;
        let is_ours = content_types.is_empty() || content_types.iter().any(|one| one == self.content_type);
        match kind {
            READY | START if !is_ours => return Err(self.other_content()),
            READY => self.answer(ACCEPT, true)?,
            START => self.has_started = true,
            STOP => {
                // The sender may be gone, and has nothing more to send.
                let _ = self.answer(FINISH, false);
                return Ok(true);
            }
            _ => return Err(self.other_content()),
        }
        Ok(false)
    }

    /// Returns the length of the next frame; `None` at the end of the input.
    fn length(&mut self) -> io::Result<Option<u32>> {
        let mut bytes = [0; 4];
        let mut read = 0;
        while read < bytes.len() {
            match self.input.read(&mut bytes[read..]) {
                Ok(0) if read == 0 => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(u32::from_be_bytes(bytes)))
    }

    /// Reads a frame. Memory grows with what arrives, and not with the length that a sender announces.
    fn read_frame(&mut self, length: u32) -> io::Result<()> {
        self.frame.clear();
        let read = self.input.by_ref().take(length.into()).read_to_end(&mut self.frame)?;
        if read < length as usize { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn control(&mut self) -> Result<Control, FrameError> {
        let length = self.length()?.unwrap_or_default();
        if !(4..=CONTROL_MAX).contains(&length) {
            return Err(self.other_content());
        }
        self.read_frame(length)?;
        let mut rest = &*self.frame;
        let kind = number(&mut rest).unwrap_or_default();
        let mut content_types = Vec::new();
        while !rest.is_empty() {
            let field = number(&mut rest).zip(number(&mut rest));
            let Some((field, value)) =
                field.and_then(|(field, length)| Some((field, rest.split_off(..length as usize)?)))
            else {
                return Err(self.other_content());
            };
            if field == CONTENT_TYPE {
                content_types.push(value.to_vec());
            }
        }
        Ok(Control { kind, content_types })
    }

    fn answer(&mut self, kind: u32, with_content_type: bool) -> io::Result<()> {
        let Some(answers) = &mut self.answers else { return Ok(()) };
        let mut control = kind.to_be_bytes().to_vec();
        if with_content_type {
            control.extend(CONTENT_TYPE.to_be_bytes());
            control.extend((self.content_type.len() as u32).to_be_bytes());
            control.extend(self.content_type);
        }
        let mut frame = 0_u32.to_be_bytes().to_vec();
        frame.extend((control.len() as u32).to_be_bytes());
        frame.extend(control);
        answers.write_all(&frame)?;
        answers.flush()
    }

    fn other_content(&self) -> FrameError {
        FrameError::OtherContent(String::from_utf8_lossy(self.content_type).into_owned())
    }
}

/// Takes a number off the beginning.
fn number(rest: &mut &[u8]) -> Option<u32> {
    rest.split_off(..4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &[u8] = b"protobuf:x";

    fn control(kind: u32, content_type: Option<&[u8]>) -> Vec<u8> {
        let mut control = kind.to_be_bytes().to_vec();
        if let Some(content_type) = content_type {
            control.extend(
                [&CONTENT_TYPE.to_be_bytes(), &(content_type.len() as u32).to_be_bytes(), content_type].concat(),
            );
        }
        [&[0; 4][..], &(control.len() as u32).to_be_bytes(), &control].concat()
    }

    fn data(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
    }

    fn frames(stream: &[u8]) -> (Result<Vec<Vec<u8>>, String>, Vec<u8>) {
        let mut answers = Vec::new();
        let mut reader = FrameReader::new(stream, Some(&mut answers), TYPE);
        let mut frames = Vec::new();
        let result = loop {
            match reader.next_frame() {
                Ok(Some(frame)) => frames.push(frame.to_vec()),
                Ok(None) => break Ok(frames),
                Err(error) => break Err(error.to_string()),
            }
        };
        (result, answers)
    }

    #[test]
    fn reads_a_file_and_a_connection_with_a_handshake() {
        let file = [control(START, Some(TYPE)), data(b"a"), data(b"bc"), control(STOP, None)].concat();
        assert_eq!(frames(&file).0, Ok(vec![b"a".to_vec(), b"bc".to_vec()]));
        let (result, answers) = frames(&[control(READY, Some(TYPE)), file].concat());
        assert_eq!(result.map(|frames| frames.len()), Ok(2));
        assert_eq!(answers, [control(ACCEPT, Some(TYPE)), control(FINISH, None)].concat());
    }

    #[test]
    fn ends_where_the_sender_stops_without_a_word() {
        assert_eq!(frames(&[control(START, None), data(b"a")].concat()).0, Ok(vec![b"a".to_vec()]));
        let cut = [control(START, None), vec![0, 0]].concat();
        assert!(frames(&cut).0.unwrap_err().starts_with("cannot read the frame stream"));
    }

    #[test]
    fn rejects_other_streams() {
        for stream in [
            control(START, Some(b"protobuf:y")),
            control(READY, Some(b"protobuf:y")),
            data(b"no start"),
            b"[INFO] a log".to_vec(),
            [&[0; 4][..], &[0, 0, 0, 8, 0, 0, 0, 2, 0, 0, 0, 1]].concat(),
            [&[0; 4][..], &[0xff; 4]].concat(),
        ] {
            assert_eq!(frames(&stream).0, Err("this is no frame stream of protobuf:x".to_owned()));
        }
        let long = [control(START, None), vec![0xff; 4]].concat();
        assert_eq!(frames(&long).0, Err("a frame of 4294967295 bytes is too long".to_owned()));
    }

    proptest::proptest! {
        #[test]
        fn no_stream_panics(stream in proptest::collection::vec(0..8_u8, 0..64)) {
            let _ = frames(&stream);
        }
    }
}
