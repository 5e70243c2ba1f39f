//! Korean on top of the templates: particles that fit the noun before them, levels of politeness, and the slips of Korean typing.
//! A syllable is `0xAC00 + (initial * 21 + vowel) * 28 + final`.

use crate::rng::Rng;

const FINAL_B: u32 = 17;
const FINAL_M: u32 = 16;

fn split(c: char) -> Option<(u32, u32, u32)> {
    let n = (c as u32).checked_sub(0xAC00).filter(|n| *n < 11_172)?;
    Some((n / 588, n / 28 % 21, n % 28))
}

fn join(initial: u32, vowel: u32, last: u32) -> char {
    char::from_u32(0xAC00 + (initial * 21 + vowel) * 28 + last).unwrap_or('?')
}

/// How a word ends as it is read aloud: 0 for an open syllable, 8 for ㄹ, another number for any other final consonant.
fn ending(text: &str) -> u32 {
    let Some(c) = text.chars().next_back() else { return 0 };
    if let Some((_, _, last)) = split(c) {
        return last;
    }
    let acronym = text.chars().rev().take(2).all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    // Chrome and iPhone are read with a silent e.
    if text.ends_with("me") || text.ends_with("ne") {
        return 1;
    }
    match c {
        '1' | '7' | '8' => 8,
        '0' | '3' | '6' => 1,
        'L' | 'R' => 8,
        'M' | 'N' => 1,
        'l' if !acronym => 8,
        'b' | 'k' | 'm' | 'n' | 'p' | 't' if !acronym => 1,
        _ => 0,
    }
}

/// The form of a particle after `text`, or nothing if `name` is no particle.
pub fn particle(text: &str, name: &str) -> Option<&'static str> {
    let last = ending(text);
    let (closed, open) = match name {
        "을" => ("을", "를"),
        "이" => ("이", "가"),
        "은" => ("은", "는"),
        "과" => ("과", "와"),
        "으로" if last == 8 => ("로", "로"),
        "으로" => ("으로", "로"),
        _ => return None,
    };
    Some(if last == 0 { open } else { closed })
}

#[derive(Clone, Copy, PartialEq)]
pub enum Register {
    /// 합니다, as the templates are written
    Formal,
    /// 해요
    Polite,
    /// 했음, clipped as in notes and chats
    Clipped,
    /// 해, without politeness
    Plain,
}

pub fn register(text: &str, register: Register) -> String {
    match register {
        Register::Formal => text.to_owned(),
        Register::Polite => polite(text),
        Register::Clipped => clipped(text),
        Register::Plain => plain(&polite(text)),
    }
}

/// True where `chars[i..]` starts with 니다 as a sentence's end (안 됩니다만 goes on).
fn ends_nida(chars: &[char], i: usize) -> bool {
    chars.get(i) == Some(&'니')
        && chars.get(i + 1) == Some(&'다')
        && chars.get(i + 2) != Some(&'만')
}

fn clipped(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::new();
    let mut i = 0;
    while i < chars.len() {
        match split(chars[i]) {
            Some(_) if chars[i] == '습' && ends_nida(&chars, i + 1) => {
                match out.chars().next_back().and_then(split) {
                    // 어렵습니다 -> 어려움
                    Some((a, v, FINAL_B)) => {
                        out.pop();
                        out.extend([join(a, v, 0), '움']);
                    }
                    _ => out.push('음'),
                }
                i += 3;
            }
            Some((a, v, FINAL_B)) if ends_nida(&chars, i + 1) => {
                out.push(join(a, v, FINAL_M));
                i += 3;
            }
            _ => {
                out.push(chars[i]);
                i += 1;
            }
        }
    }
    out
}

/// Forms that the rules of [`polite`] would get wrong.
const IRREGULAR: [(&str, &str); 15] = [
    ("그렇습니다", "그래요"),
    ("그럽니다", "그래요"),
    ("이럽니다", "이래요"),
    ("다릅니다", "달라요"),
    ("빠릅니다", "빨라요"),
    ("돕니다", "돌아요"),
    (" 깁니다", " 길어요"),
    (" 압니다", " 알아요"),
    (" 맙니다", " 말아요"),
    (" 엽니다", " 열어요"),
    ("깜빡입니다", "깜빡여요"),
    ("움직입니다", "움직여요"),
    ("정보입니다", "정보예요"),
    ("아닙니다", "아니에요"),
    ("십니다", "세요"),
];

fn polite(text: &str) -> String {
    let text = IRREGULAR
        .iter()
        .fold(text.to_owned(), |text, (formal, polite)| text.replace(formal, polite));
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::new();
    let mut i = 0;
    while i < chars.len() {
        if let Some((a, v, FINAL_B)) = split(chars[i]).filter(|_| ends_nida(&chars, i + 1)) {
            let before = out.chars().next_back().unwrap_or(' ');
            match (chars[i], v) {
                ('습', _) => {
                    let (a, v, last) = split(before).unwrap_or((0, 0, 0));
                    if last == FINAL_B {
                        // 어렵습니다 -> 어려워요
                        out.pop();
                        out.push(join(a, v, 0));
                        out.push_str("워요");
                    } else if last != 20 && (v == 0 || v == 8) {
                        out.push_str("아요");
                    } else {
                        out.push_str("어요");
                    }
                }
                ('합', _) => out.push_str("해요"),
                ('입', _) if !"보쓰쌓줄붙높모".contains(before) => {
                    out.push_str(if ending(&out) == 0 { "예요" } else { "이에요" });
                }
                // The stem's vowel joins -어: ㅣ+어=ㅕ, ㅗ+아=ㅘ, ㅜ+어=ㅝ, ㅡ+어=ㅓ, ㅚ+어=ㅙ.
                _ => {
                    let v = match v {
                        20 => 6,
                        8 => 9,
                        13 => 14,
                        18 => 4,
                        11 => 10,
                        v => v,
                    };
                    out.push(join(a, v, 0));
                    out.push('요');
                }
            }
            i += 3;
        } else {
            out.push(chars[i]);
            i += 1;
        }
    }
    out
}

fn plain(text: &str) -> String {
    let text = text
        .replace("이에요", "이야")
        .replace("예요", "야")
        .replace("에요", "야")
        .replace("주세요", "줘")
        .replace("세요", "셔");
    let chars: Vec<char> = text.chars().collect();
    let keep = |i: usize| {
        // 요 is dropped at a sentence's end only: 요청 and 필요 keep theirs.
        chars[i] != '요'
            || i == 0
            || chars[i - 1] == '필'
            || chars.get(i + 1).is_some_and(|c| split(*c).is_some())
            || split(chars[i - 1]).is_none()
    };
    (0..chars.len()).filter(|i| keep(*i)).map(|i| chars[i]).collect()
}

/// What people commonly write instead of the standard spelling.
const MISSPELT: [(&str, &str); 14] = [
    ("안 돼", "안되"),
    ("돼요", "되요"),
    ("됐", "됬"),
    ("안 됩", "안됩"),
    ("안 되", "안되"),
    ("할 수", "할수"),
    ("것 같", "거같"),
    ("왜", "외"),
    ("계속", "게속"),
    ("어떻게", "어떡게"),
    ("며칠", "몇일"),
    ("오랜만", "오랫만"),
    ("메시지", "메세지"),
    ("다시 ", "다시"),
];

/// Slips at `rate` permille a syllable; `spacing` permille of the spaces vanish.
pub fn slips(text: &str, rng: &mut Rng, rate: usize, spacing: usize) -> String {
    let mut text = text.to_owned();
    for (right, wrong) in MISSPELT {
        if rng.chance(rate * 8 + spacing) {
            text = text.replace(right, wrong);
        }
    }
    let mut out = String::with_capacity(text.len());
    let mut after_hangul = false;
    for c in text.chars() {
        let hangul = split(c);
        match hangul {
            Some((a, v, last)) if rng.chance(rate) => match rng.below(5) {
                0 if last != 0 => out.push(join(a, v, 0)),
                // ㅐ and ㅔ sound alike; ㅗ and ㅓ, ㅏ and ㅣ lie side by side on the keyboard.
                1 => out.push(join(
                    a,
                    [5, 20, 2, 4, 8, 1, 6, 7, 4, 9, 10, 8, 12, 18, 14, 15, 16, 17, 13, 19, 0]
                        [v as usize],
                    last,
                )),
                // ㄱ ㄷ ㅂ ㅅ ㅈ and their doubles share a key.
                2 => out.push(join(
                    [1, 0, 2, 4, 3, 5, 6, 8, 7, 10, 9, 11, 13, 12, 14, 15, 16, 17, 18][a as usize],
                    v,
                    last,
                )),
                3 => {
                    out.push(c);
                    out.push(*rng.pick(&['ㅇ', 'ㅏ', 'ㄹ', 'ㅁ', 'ㅣ']));
                }
                _ => {
                    out.push(c);
                    out.push(c);
                }
            },
            _ if c == ' ' && after_hangul && rng.chance(spacing) => {}
            Some(_) if rng.chance(spacing / 20) => {
                out.push(c);
                out.push(' ');
            }
            _ => out.push(c),
        }
        after_hangul = hangul.is_some();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn particles_fit_the_noun() {
        let form = |noun: &str, name| format!("{noun}{}", particle(noun, name).unwrap());
        assert_eq!(form("비밀번호", "을"), "비밀번호를");
        assert_eq!(form("계정", "이"), "계정이");
        assert_eq!(form("VPN", "은"), "VPN은");
        assert_eq!(form("Chrome", "을"), "Chrome을");
        assert_eq!(form("SAP", "이"), "SAP가");
        assert_eq!(form("메일", "으로"), "메일로");
        assert_eq!(particle("메일", "slot"), None);
    }

    #[test]
    fn one_sentence_in_four_registers() {
        let say = |text: &str| {
            [Register::Polite, Register::Clipped, Register::Plain].map(|r| register(text, r))
        };
        assert_eq!(say("접속이 안 됩니다."), ["접속이 안 돼요.", "접속이 안 됨.", "접속이 안 돼."]);
        assert_eq!(say("너무 느립니다"), ["너무 느려요", "너무 느림", "너무 느려"]);
        assert_eq!(
            say("로그인이 어렵습니다"),
            ["로그인이 어려워요", "로그인이 어려움", "로그인이 어려워"]
        );
        assert_eq!(
            say("재부팅했습니다만 같습니다"),
            ["재부팅했습니다만 같아요", "재부팅했습니다만 같음", "재부팅했습니다만 같아"]
        );
        assert_eq!(say("급한 건입니다"), ["급한 건이에요", "급한 건임", "급한 건이야"]);
        assert_eq!(say("제 PC만 그렇습니다"), ["제 PC만 그래요", "제 PC만 그렇음", "제 PC만 그래"]);
        assert_eq!(
            say("저는 아닙니다. 계십니다"),
            ["저는 아니에요. 계세요", "저는 아님. 계심", "저는 아니야. 계셔"]
        );
        assert_eq!(say("확인이 필요합니다"), ["확인이 필요해요", "확인이 필요함", "확인이 필요해"]);
    }
}
