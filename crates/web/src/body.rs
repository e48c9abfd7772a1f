//! Bodies of answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use crate::Subscription;

/// The body of an answer.
pub(crate) enum ReplyBody {
    /// All of it; `None` once it was sent.
    Whole(Option<Bytes>),
    /// Messages.
    Stream(Box<Messages>),
    /// What a stream's would be if it were asked for.
    Untold,
}

/// Messages, and the place among the streams that they take up.
pub(crate) struct Messages {
    messages: Subscription,
    _place: OwnedSemaphorePermit,
}

impl ReplyBody {
    pub(crate) fn stream(messages: Subscription, place: OwnedSemaphorePermit) -> Self {
        Self::Stream(Box::new(Messages { messages, _place: place }))
    }

    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self::Whole((!bytes.is_empty()).then_some(bytes))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take()),
            Self::Stream(stream) => stream.messages.poll_next(cx),
            Self::Untold => Poll::Ready(None),
        };
        next.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Stream(_) | Self::Untold => SizeHint::default(),
        }
    }
}
