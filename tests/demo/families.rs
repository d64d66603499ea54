//! The intents of the demo grammar and how people say them.
//!
//! A family is a group of intents over the same slots: `打开{setting}` and `关闭{setting}` are
//! siblings, so that one is the other's near-miss. Out: tables for the generator in `grammar.rs`.
//! Does not hold slot values, nor the polite words before and after a phrase.
//!
//! The first character of a phrasing says what may be put around it:
//! `!` a command (`帮我…吧`), `~` a command for the speaker's benefit (`给我…吧`),
//! `?` a question (`请问…呢`), `.` the name of what is asked for (`查一下…`), `-` nothing.

/// Intents over the same slots.
pub struct Family {
    /// Its slots; two of one kind are told apart by a digit (`city`, `city2`).
    pub slots: &'static [&'static str],
    /// Two slots whose exchange changes the meaning: from and to.
    pub swap: Option<(usize, usize)>,
    /// One text an intent: its phrasings, parted by blanks.
    pub intents: &'static [&'static str],
}

const fn family(slots: &'static [&'static str], intents: &'static [&'static str]) -> Family {
    Family {
        slots,
        swap: None,
        intents,
    }
}

/// A family whose slots 0 and 1 mean something else when exchanged.
const fn directed(slots: &'static [&'static str], intents: &'static [&'static str]) -> Family {
    Family {
        slots,
        swap: Some((0, 1)),
        intents,
    }
}

/// All families. Phrasings at the same place of sibling intents are parallel where the language allows it.
pub const FAMILIES: &[Family] = &[
    // Weather.
    family(
        &["city", "day"],
        &[
            "?{city}{day}天气怎么样 .{city}{day}天气 .{day}{city}的天气 ?{day}{city}天气好吗
             ?{city}{day}是什么天气 .{city}{day}的天气预报 ?{day}{city}天气如何",
            "?{city}{day}多少度 .{city}{day}气温 .{day}{city}的温度 ?{day}{city}气温多少
             ?{city}{day}温度是多少 ?{city}{day}有几度 ?{day}{city}最高多少度",
            "?{city}{day}会下雨吗 ?{city}{day}下雨吗 ?{day}{city}有没有雨 ?{day}{city}会不会下雨
             ?{city}{day}要带伞吗 ?{day}在{city}用带伞吗 ?{city}{day}有雨吗",
        ],
    ),
    // Alarm.
    family(
        &["repeat", "clock"],
        &[
            "!定个{repeat}{clock}的闹钟 !设一个{repeat}{clock}的闹钟 !加个{repeat}{clock}的闹钟
             -{repeat}{clock}叫我起床 -{repeat}{clock}叫醒我 !把闹钟定在{repeat}{clock}
             -我{repeat}{clock}要起床",
            "!取消{repeat}{clock}的闹钟 !关掉{repeat}{clock}的闹钟 !删掉{repeat}{clock}的闹钟
             -{repeat}{clock}不用叫我了 -{repeat}{clock}别叫醒我 !把{repeat}{clock}的闹钟关了
             -{repeat}{clock}的闹钟不要了",
        ],
    ),
    // Timer.
    family(
        &["duration"],
        &[
            "!倒计时{duration} !计时{duration} !设{duration}的倒计时 -{duration}后叫我
             -{duration}以后提醒我 -过{duration}叫我一声 !定时{duration}",
            "!{duration}后关机 !过{duration}关机 !设置{duration}后关机 !定时{duration}关机
             !{duration}以后自动关机 -{duration}之后把手机关了 !等{duration}再关机",
            "!{duration}后停止播放 !放{duration}就停 !设置{duration}后停止播放 !再放{duration}就关
             -{duration}以后别放了 -{duration}之后把音乐关了 !定时{duration}停止播放",
        ],
    ),
    // Music by singer.
    family(
        &["singer"],
        &[
            "~播放{singer}的歌 ~放一首{singer}的歌 -我想听{singer}的歌 ~来一首{singer}的歌
             ~随便放首{singer}的歌 -听听{singer}的歌 ~放点{singer}唱的",
            "!下载{singer}的歌 !把{singer}的歌下载下来 -我要下载{singer}的歌 !把{singer}的歌下到手机里
             !缓存{singer}的歌 !下几首{singer}的歌",
            "?{singer}有哪些歌 ?{singer}唱过什么歌 ?{singer}的歌有哪些 .{singer}的代表作
             ?{singer}都唱过哪些歌 ?{singer}有什么好听的歌",
        ],
    ),
    // Music by style.
    family(
        &["style"],
        &[
            "~播放{style} ~放点{style} -我想听{style} ~来点{style} -听一会儿{style} ~放几首{style}
             ~换成{style}",
            "-别放{style}了 -不想听{style} -不要放{style} -我不听{style}了 !把{style}关了
             -{style}听腻了 !停掉{style}",
        ],
    ),
    // Player.
    family(
        &["media"],
        &[
            "!暂停{media} !{media}停一下 !把{media}停了 -{media}先别放了 !先停一下{media}
             !让{media}暂停",
            "!继续放{media} !接着放{media} !把{media}接着放 -{media}接着播 !继续播放刚才的{media}
             !恢复播放{media}",
            "!收藏这个{media} !把这个{media}收藏了 !把{media}加到收藏 -这个{media}我要收藏
             !把{media}放进收藏夹 !收藏一下{media}",
        ],
    ),
    // Contacts.
    family(
        &["contact"],
        &[
            "!给{contact}打电话 !打电话给{contact} !呼叫{contact} !拨打{contact}的电话
             !打{contact}的手机 !给{contact}拨个电话 -我要跟{contact}通话",
            "!给{contact}打视频 !打视频给{contact} !和{contact}视频 !跟{contact}视频通话
             !和{contact}开视频 -我要跟{contact}视频聊天",
            "?{contact}的电话是多少 ?{contact}手机号多少 .{contact}的号码 .{contact}的电话号码
             !找一下{contact}的电话 ?{contact}的手机号是什么",
            "?{contact}给我打电话了吗 ?{contact}来电话了吗 ?{contact}打过电话来吗 ?有没有{contact}的来电
             ?{contact}刚才打电话了吗 ?我有没有漏接{contact}的电话",
        ],
    ),
    // Messages.
    family(
        &["contact", "message"],
        &[
            "!告诉{contact}{message} !给{contact}发短信说{message} !跟{contact}说{message}
             !发消息给{contact}说{message} !转告{contact}{message} !给{contact}留言{message}
             !发短信告诉{contact}{message}",
        ],
    ),
    // Navigation.
    family(
        &["place"],
        &[
            "!导航到{place} !导航去{place} -我要去{place} !带我去{place} ?去{place}怎么走
             .去{place}的路线 ?怎么去{place}",
            "?到{place}要多久 ?去{place}要多长时间 ?多久能到{place} ?去{place}得花多久
             ?几分钟能到{place} ?还有多久到{place}",
            "?到{place}堵车吗 ?去{place}堵不堵 ?去{place}的路上堵吗 .去{place}的路况
             ?{place}那边堵车吗 ?去{place}路况怎么样",
            "?{place}有多远 ?到{place}多远 ?{place}离这多远 ?去{place}有多少公里 ?{place}远不远
             ?到{place}几公里",
        ],
    ),
    // Places nearby.
    family(
        &["poi"],
        &[
            "?附近有{poi}吗 ?最近的{poi}在哪 ?哪里有{poi} .附近的{poi} !找一下附近的{poi}
             ?这附近哪有{poi} -我要找{poi}",
            "?附近的{poi}几点关门 ?{poi}开到几点 ?{poi}几点关门 ?{poi}营业到几点 ?{poi}晚上几点下班
             ?{poi}什么时候关门",
            "?附近的{poi}电话多少 .附近{poi}的电话 ?{poi}的联系方式有吗 !打电话给附近的{poi}
             !查一下{poi}的电话 .最近的{poi}的电话",
        ],
    ),
    // Journeys.
    directed(
        &["city", "city2"],
        &[
            "!买{city}到{city2}的火车票 .{city}到{city2}的火车票 !订{city}去{city2}的火车票
             .{city}开往{city2}的火车 ?有{city}到{city2}的火车吗 -从{city}坐火车去{city2}
             -我要从{city}坐火车到{city2}",
            "!买{city}到{city2}的机票 .{city}到{city2}的机票 !订{city}去{city2}的机票
             .{city}飞{city2}的航班 ?有{city}到{city2}的飞机吗 -从{city}坐飞机去{city2}
             -我要从{city}飞到{city2}",
            "?{city}开车到{city2}怎么走 .{city}到{city2}的路线 !导航从{city}到{city2}
             ?从{city}怎么开到{city2} ?自驾从{city}去{city2}怎么走 -从{city}开车去{city2}",
        ],
    ),
    // Switches.
    family(
        &["setting"],
        &[
            "!打开{setting} !开启{setting} !把{setting}打开 !开一下{setting} -我要开{setting}
             !{setting}打开 !启用{setting}",
            "!关闭{setting} !关掉{setting} !把{setting}关了 !关一下{setting} -不用开{setting}了
             !{setting}关掉 !停用{setting}",
            "?{setting}开了吗 ?{setting}打开了没 ?{setting}是开着的吗 ?现在{setting}开着吗
             ?{setting}开没开 ?{setting}有没有开",
            "?{setting}在哪里设置 ?怎么设置{setting} ?{setting}怎么弄 ?{setting}在哪里找
             ?{setting}该怎么设置 ?从哪里设置{setting}",
        ],
    ),
    // Apps.
    family(
        &["app"],
        &[
            "!打开{app} !启动{app} !进入{app} -我要用{app} !把{app}打开 !点开{app}",
            "!卸载{app} !删除{app} !把{app}卸载了 -我不要{app}了 !把{app}删掉 !删掉{app}",
            "!更新{app} !升级{app} !把{app}更新一下 !把{app}升到最新版 !更新一下{app} !给{app}升个级",
        ],
    ),
    // Louder, brighter, larger.
    family(
        &["target"],
        &[
            "!{target}调大一点 !把{target}调大 !{target}大一点 -{target}太小了 !调大{target}
             !增大{target} !{target}再大些",
            "!{target}调小一点 !把{target}调小 !{target}小一点 -{target}太大了 !调小{target}
             !减小{target} !{target}再小些",
            "!{target}调到最大 !把{target}开到最大 !{target}最大 -我要最大的{target} !最大{target}
             !把{target}调成最大的",
        ],
    ),
    // Air conditioning.
    family(
        &["room", "degree"],
        &[
            "!把{room}空调调到{degree} !{room}空调设成{degree} !{room}空调开{degree}
             !把{room}的空调设为{degree} -{room}的空调我要{degree} !{room}空调打到{degree}",
            "!把{room}地暖调到{degree} !{room}地暖设成{degree} !{room}地暖开{degree}
             !把{room}的地暖设为{degree} -{room}的地暖我要{degree} !{room}地暖打到{degree}",
        ],
    ),
    // Devices at home.
    family(
        &["room", "device"],
        &[
            "!打开{room}的{device} !把{room}{device}打开 !开一下{room}{device} !开{room}{device}
             !{room}的{device}打开 -我要开{room}的{device}",
            "!关闭{room}的{device} !把{room}{device}关了 !关一下{room}{device} !关{room}{device}
             !{room}的{device}关掉 -不用开{room}的{device}了",
            "?{room}{device}开着吗 ?{room}的{device}开了没 ?{room}{device}是开着的吗
             ?{room}的{device}有没有开 ?{room}{device}开了吗 ?现在{room}的{device}开着吗",
        ],
    ),
    // Translation.
    family(
        &["word", "language"],
        &[
            "?{word}用{language}怎么说 !把{word}翻译成{language} ?{word}的{language}怎么说
             ?{language}的{word}怎么说 ?怎么用{language}说{word} !用{language}说{word}
             .{word}的{language}翻译",
            "?{word}用{language}怎么写 ?{word}的{language}怎么写 ?{language}的{word}怎么写
             ?怎么用{language}写{word} !用{language}写{word} .{word}的{language}写法",
        ],
    ),
    // Sums: the order of the numbers matters.
    directed(
        &["number", "number2"],
        &[
            "?{number}减{number2}等于几 .{number}减{number2} ?{number}减{number2}是多少
             ?{number}减去{number2}等于多少 !算一下{number}减{number2} ?{number}减去{number2}剩多少",
            "?{number}除以{number2}等于几 .{number}除以{number2} ?{number}除以{number2}是多少
             ?{number}除以{number2}得多少 !算一下{number}除以{number2} ?{number}里有几个{number2}",
        ],
    ),
    // Exchange.
    directed(
        &["currency", "currency2", "amount"],
        &[
            "?{amount}{currency}等于多少{currency2} ?{amount}{currency}换多少{currency2}
             !把{amount}{currency}换成{currency2} ?{amount}{currency}能换多少{currency2}
             ?{amount}{currency}是多少{currency2} ?{amount}{currency}值多少{currency2}",
        ],
    ),
    // Calendar.
    family(
        &["date"],
        &[
            "?{date}星期几 ?{date}是周几 ?{date}是星期几 ?{date}礼拜几 ?{date}周几 ?{date}是礼拜几",
            "?{date}农历几号 ?{date}阴历是多少 .{date}的农历 ?{date}农历多少 ?{date}是农历几月几号
             ?{date}阴历几号",
            "?{date}有什么安排 .{date}的日程 ?{date}有什么事 ?{date}我要做什么 .{date}的行程安排
             ?{date}都安排了什么",
            "?{date}放假吗 ?{date}休息吗 ?{date}要上班吗 ?{date}是不是放假 ?{date}用不用上班
             ?{date}是休息日吗",
        ],
    ),
    // Festivals.
    family(
        &["festival"],
        &[
            "?{festival}是哪天 ?{festival}是几号 ?今年{festival}是几月几号 ?{festival}在哪一天
             ?什么时候{festival} ?{festival}是什么时候",
            "?还有多久到{festival} ?离{festival}还有几天 ?距离{festival}多少天 ?还有几天{festival}
             ?多久才到{festival} ?{festival}还有多少天",
            "?{festival}放几天假 ?{festival}放假几天 ?{festival}休息几天 .{festival}的放假安排
             ?{festival}能放多少天 ?{festival}怎么放假",
            "?{festival}吃什么 ?{festival}要吃什么 ?{festival}该吃点啥 ?{festival}吃啥
             ?大家{festival}都吃什么 ?{festival}一般吃什么",
        ],
    ),
    // Health.
    family(
        &["symptom"],
        &[
            "?{symptom}怎么办 ?{symptom}怎么治 ?{symptom}该怎么办 ?{symptom}怎么缓解 ?怎么治{symptom}
             ?{symptom}怎么才能好 ?我{symptom}怎么办",
            "?为什么会{symptom} ?{symptom}是什么原因 ?{symptom}是怎么引起的 ?怎么会{symptom}
             ?{symptom}是怎么回事 .{symptom}的原因 ?为啥老是{symptom}",
            "?{symptom}吃什么药 ?{symptom}要吃什么药 ?{symptom}吃啥药 ?{symptom}用什么药
             ?治{symptom}的药有哪些 ?什么药治{symptom}",
        ],
    ),
    // Recipes.
    family(
        &["dish"],
        &[
            "?{dish}怎么做 .{dish}的做法 ?怎么做{dish} !教我做{dish} -我想学做{dish} .{dish}的菜谱
             ?{dish}怎么做好吃",
            "?做{dish}要什么材料 ?{dish}需要哪些食材 ?{dish}的材料有哪些 ?做{dish}要买什么
             .{dish}的食材 ?{dish}用什么做的",
            "?{dish}热量高吗 ?{dish}有多少热量 ?吃{dish}会胖吗 .{dish}的热量 ?{dish}多少卡路里
             ?{dish}容易长胖吗",
            "!点一份{dish} -我要吃{dish} ~来份{dish}外卖 !叫个{dish}外卖 !订一份{dish}
             -我想点{dish}的外卖",
        ],
    ),
    // News.
    family(
        &["topic"],
        &[
            "~播放{topic}新闻 .今天的{topic}新闻 .最新的{topic}新闻 ?有什么{topic}新闻
             -我想听{topic}新闻 ~来点{topic}消息 -看看{topic}新闻",
            "!关掉{topic}新闻 !取消{topic}新闻推送 -不想看{topic}新闻 -别播{topic}新闻了
             !屏蔽{topic}新闻 -别推{topic}消息 -不要{topic}新闻",
        ],
    ),
    // Shopping.
    family(
        &["goods"],
        &[
            "-我要买{goods} -我想买{goods} !下单{goods} !在网上买{goods} -想买个{goods} -打算买{goods}",
            "?{goods}多少钱 ?{goods}什么价格 .{goods}的价格 ?{goods}贵不贵 ?{goods}要多少钱
             ?{goods}卖多少钱",
            "?什么牌子的{goods}好 ~推荐几款{goods} ?哪款{goods}好用 ?{goods}哪个牌子好
             ?{goods}买哪种好 ~推荐好用的{goods}",
            "?我买的{goods}到哪了 ?{goods}什么时候到货 .{goods}的物流 ?买的{goods}到了没
             ?{goods}的快递到哪了 ?{goods}送到哪里了",
        ],
    ),
    // Films.
    family(
        &["film"],
        &[
            "~推荐一部{film}片 ?有什么好看的{film}片 -我想看{film}片 ~找一部{film}片 ?哪部{film}片好看
             ~来部{film}片",
            "?最近上映了什么{film}片 .正在上映的{film}片 ?电影院有什么{film}片 ?影院在放哪些{film}片
             .新上映的{film}片 ?有没有新上的{film}片",
            "-不想看{film}片 -别放{film}片 -我不爱看{film}片 -不要{film}片 -别再推荐{film}片了
             !跳过{film}片",
        ],
    ),
    // Reminders.
    family(
        &["clock", "task"],
        &[
            "-{clock}提醒我{task} !设个{clock}{task}的提醒 -{clock}记得叫我{task}
             -到{clock}提醒我{task} -{clock}喊我{task} -{clock}要{task}提醒我",
            "-{clock}别提醒我{task} !取消{clock}{task}的提醒 -{clock}不用叫我{task}了
             !删掉{clock}{task}的提醒 -{clock}别喊我{task}了 -{clock}{task}的提醒不要了",
        ],
    ),
    // Photos.
    family(
        &["past"],
        &[
            "!找一下{past}的照片 .{past}拍的照片 -看看{past}的照片 !打开{past}拍的照片
             -我要看{past}的照片 !翻出{past}的照片",
            "!找一下{past}的视频 .{past}拍的视频 -看看{past}的视频 !打开{past}拍的视频
             -我要看{past}的视频 !翻出{past}的视频",
            "!删除{past}的照片 !把{past}拍的照片删了 !删掉{past}的照片 -{past}的照片不要了
             !清空{past}的照片 -{past}拍的照片都不要了",
        ],
    ),
    // Stories.
    family(
        &["story"],
        &[
            "~讲一个{story}的故事 ~讲讲{story} -我想听{story} ~来个{story}的故事 ~播放{story}的故事
             ~说说{story}的故事",
            "-别讲{story}了 !停掉{story} -我不听{story}了 -不要{story}的故事 !换掉{story}的故事
             -{story}听过了",
            "?{story}讲了什么道理 ?{story}的道理是什么 ?{story}告诉我们什么 ?{story}说明了什么道理
             ?从{story}能学到什么 ?{story}想说明什么",
        ],
    ),
    // Poems.
    family(
        &["poem"],
        &[
            "~背一下{poem} -我想听{poem}这首诗 ~背一首{poem} ~读一下{poem} ~念一遍{poem}
             ?{poem}全文是什么",
            "?{poem}是谁写的 ?{poem}的作者是谁 ?谁写了{poem} .{poem}的作者 ?{poem}是哪位诗人写的
             ?{poem}是谁的诗",
            "?{poem}是什么意思 !解释一下{poem} ?{poem}讲的是什么 .{poem}的意思 ?{poem}这首诗怎么理解
             ?{poem}写了什么",
        ],
    ),
    // Idioms.
    family(
        &["idiom"],
        &[
            "?{idiom}是什么意思 !解释一下{idiom} .{idiom}的意思 ?{idiom}怎么理解 ?什么叫{idiom}
             ?{idiom}指的是什么",
            "?{idiom}的近义词是什么 .{idiom}的近义词 ?和{idiom}意思相近的有哪些 ?{idiom}近义词有哪些
             !找{idiom}的近义词 ?什么词和{idiom}意思差不多",
            "?{idiom}的反义词是什么 .{idiom}的反义词 ?和{idiom}意思相反的有哪些 ?{idiom}反义词有哪些
             !找{idiom}的反义词 ?什么词和{idiom}意思相反",
        ],
    ),
    // Countries.
    family(
        &["country"],
        &[
            "?{country}的首都是哪里 .{country}的首都 ?{country}首都是哪 ?{country}首都叫什么
             ?哪里是{country}的首都 ?{country}的首都是哪个城市",
            "?{country}有多少人 .{country}的人口 ?{country}人口多少 ?{country}有多少人口
             ?{country}总共多少人 ?{country}一共有多少人",
            "?{country}现在几点 .{country}的时间 ?现在{country}是几点 ?{country}现在是什么时间
             ?{country}那边几点了 ?{country}当地几点了",
        ],
    ),
    // Animals.
    family(
        &["animal"],
        &[
            "?{animal}有多重 ?{animal}多少斤 .{animal}的体重 ?一只{animal}有多重 ?{animal}重多少公斤
             ?{animal}体重是多少",
            "?{animal}能活多久 ?{animal}能活多少年 .{animal}的寿命 ?{animal}可以活几年
             ?{animal}寿命多长 ?{animal}一般活多大",
            "?{animal}吃什么 ?{animal}爱吃什么 .{animal}的食物 ?{animal}平时吃啥 ?{animal}都吃些什么
             ?{animal}喜欢吃什么",
            "?{animal}怎么叫 ?{animal}是怎么叫的 .{animal}的叫声 ~学{animal}叫 ~学一下{animal}的叫声
             ?{animal}的声音是什么样的",
        ],
    ),
    // Horoscope.
    family(
        &["sign", "period"],
        &[
            ".{sign}{period}运势 ?{sign}{period}运势怎么样 ?{period}{sign}运气好吗 .{period}{sign}的运势
             ?{sign}{period}运气如何 ?{period}{sign}的运势好不好",
            ".{sign}{period}财运 ?{sign}{period}财运怎么样 ?{period}{sign}能赚钱吗 .{period}{sign}的财运
             ?{sign}{period}有没有财运 ?{period}{sign}的财运好不好",
            ".{sign}{period}爱情运 ?{sign}{period}爱情怎么样 ?{period}{sign}有桃花吗
             .{period}{sign}的桃花运 ?{sign}{period}感情运如何 ?{period}{sign}的桃花运好不好",
        ],
    ),
    // Characters.
    family(
        &["hanzi"],
        &[
            "?{hanzi}字怎么写 ?{hanzi}怎么写 !写一下{hanzi}字 .{hanzi}字的写法 ?怎么写{hanzi}字
             ?{hanzi}这个字怎么写",
            "?{hanzi}字几画 ?{hanzi}字有几画 ?{hanzi}有多少笔画 .{hanzi}字的笔画数 ?{hanzi}字一共几笔
             ?{hanzi}这个字多少画",
            "~用{hanzi}组词 ?{hanzi}字怎么组词 ?{hanzi}能组什么词 .带{hanzi}的词语 ?{hanzi}字可以组什么词
             ?什么词里有{hanzi}字",
        ],
    ),
    // Sports.
    family(
        &["day", "sport"],
        &[
            "?{day}{sport}比赛几点开始 ?{day}的{sport}赛什么时候开始 .{day}{sport}比赛的时间
             ?{day}几点有{sport}比赛 ?{day}{sport}比赛几点开打 ?{sport}比赛{day}几点开始",
            "!买{day}{sport}比赛的票 -我要买{day}{sport}比赛的票 .{day}{sport}比赛的门票
             !订{day}的{sport}比赛票 ?{day}{sport}比赛怎么买票 !抢{day}{sport}比赛的票",
            "~播放{day}的{sport}比赛 -我要看{day}的{sport}直播 .{day}{sport}比赛的直播
             ~打开{day}的{sport}直播 ?{day}{sport}比赛在哪看 ?{day}哪个台放{sport}比赛",
        ],
    ),
    // Sights.
    family(
        &["spot"],
        &[
            "?{spot}门票多少钱 .{spot}的门票 ?{spot}票价多少 ?去{spot}玩要多少钱 ?{spot}的票贵吗
             ?{spot}门票什么价",
            "?{spot}几点开门 .{spot}的开放时间 ?{spot}几点开放 ?{spot}什么时候开门 ?{spot}早上几点能进
             ?{spot}几点可以进去",
            "?{spot}在哪里 .{spot}的位置 ?{spot}在什么地方 ?{spot}在哪个城市 ?{spot}位于哪里 ?哪里是{spot}",
        ],
    ),
];
