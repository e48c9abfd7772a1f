//! A page as one file that needs nothing else.

use serde::Serialize;

use crate::assets;
use crate::model::{Detail, Page};

/// The page and its details, in the order of its rows, as one HTML file: it loads nothing, and works from
/// disk.
///
/// What comes from outside (symbols, causes, logs, paths) is data in JSON blocks and nowhere else.
///
/// # Errors
/// When a value cannot be JSON.
pub fn html(page: &Page, details: &[Detail]) -> Result<String, serde_json::Error> {
    let mut data = block("page", page)?;
    for (place, detail) in details.iter().enumerate() {
        data.push_str(&block(&format!("d-{place}"), detail)?);
    }
    let style = [assets::UPLOT_CSS, assets::APP_CSS].map(|css| format!("<style>\n{css}</style>\n"));
    let script = [assets::UPLOT_JS, assets::APP_JS].map(|js| format!("<script>\n{js}</script>\n"));
    Ok(fill(
        assets::INDEX,
        &[
            ("<!--STYLE-->", &style.concat()),
            ("<!--DATA-->", &data),
            ("<!--SCRIPT-->", &script.concat()),
        ],
    ))
}

/// A block of JSON. Nothing in it can end it: `<` is always escaped, and stands in texts only.
fn block(id: &str, value: &impl Serialize) -> Result<String, serde_json::Error> {
    let json = serde_json::to_string(value)?.replace('<', "\\u003c");
    Ok(format!("<script type=\"application/json\" id=\"{id}\">{json}</script>\n"))
}

/// Puts each text in its place, the first of that name; what is put there is not looked at again.
fn fill(template: &str, texts: &[(&str, &str)]) -> String {
    let length = texts.iter().map(|(_, text)| text.len()).sum::<usize>();
    let mut filled = String::with_capacity(template.len() + length);
    let mut rest = template;
    for (place, text) in texts {
        let (before, after) = rest.split_once(place).unwrap_or((rest, ""));
        filled.push_str(before);
        filled.push_str(text);
        rest = after;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::model::{LogTail, Row};

    /// The JSON block of this name.
    fn read(html: &str, id: &str) -> Value {
        let begin = format!("<script type=\"application/json\" id=\"{id}\">");
        let (_, rest) = html.split_once(&begin).unwrap();
        serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
    }

    #[test]
    fn what_comes_from_outside_is_data() {
        const EVIL: &str = "</script><script>alert(1)</script><!--<!--DATA--><!--SCRIPT-->]]>";
        let row = Row { s: "A".to_owned(), cause: Some(EVIL.to_owned()), ..Row::default() };
        let page = Page { symbols: vec![row], ..Page::default() };
        let log = LogTail { file: "A.1.log".to_owned(), text: EVIL.to_owned() };
        let detail = Detail { log: Some(log), ..Detail::default() };
        let html = html(&page, &[detail]).unwrap();
        assert!(!html.contains("alert(1)</script>") && !html.contains("<!--<!--"));
        assert_eq!(html.matches("</script>").count(), html.matches("<script").count());
        assert_eq!(html.matches("<script").count(), 4);
        assert_eq!(read(&html, "page")["symbols"][0]["cause"], EVIL);
        assert_eq!(read(&html, "d-0")["log"]["text"], EVIL);
        assert!(html.contains("\\u003c/script>"));
    }

    #[test]
    fn the_file_needs_nothing_else() {
        let html = html(&Page::default(), &[]).unwrap();
        for placeholder in ["<!--STYLE-->", "<!--DATA-->", "<!--SCRIPT-->"] {
            assert!(assets::INDEX.contains(placeholder) && !html.contains(placeholder));
        }
        assert!(html.contains("default-src 'none'"));
        for outside in
            ["src=\"http", "href=\"http", "url(http", "@import", "<link rel=\"stylesheet\""]
        {
            assert!(!html.contains(outside), "{outside}");
        }
        for asset in [assets::UPLOT_CSS, assets::APP_CSS, assets::UPLOT_JS, assets::APP_JS] {
            assert!(html.contains(asset));
            // It would end its element.
            assert!(!asset.contains("</script") && !asset.contains("</style"));
        }
    }
}
