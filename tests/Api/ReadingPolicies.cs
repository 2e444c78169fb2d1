using SnapshotFlow.Api.Policy;

namespace SnapshotFlow.Tests.Api;

/// <summary>oslo.policy's language: what a check means, and what is said about a text that is none.</summary>
public sealed class ReadingPolicies
{
    private static readonly PolicyTarget Thing = PolicyTarget.Of("p1", "u1").With("visibility", "public").With("nothing", null);

    [Theory]
    [InlineData("", true)]
    [InlineData("@", true)]
    [InlineData("!", false)]
    [InlineData("not !", true)]
    [InlineData("not @", false)]
    [InlineData("NOT not @", true)]
    [InlineData("role:member", true)]
    [InlineData("role:MEMBER", true)]
    [InlineData("role:admin", false)]
    [InlineData("project_id:%(project_id)s", true)]
    [InlineData("project_id:p1", true)]
    [InlineData("project_id:p2", false)]
    [InlineData("user_id:%(user_id)s", false)]
    [InlineData("user_id:%(no_such)s", false)]
    [InlineData("nobody_knows:%(project_id)s", false)]
    [InlineData("'public':%(visibility)s", true)]
    [InlineData("\"public\":%(visibility)s", true)]
    [InlineData("'with space':%(visibility)s", false)]
    [InlineData("None:%(nothing)s", true)]
    [InlineData("1:1", true)]
    [InlineData("1:%(visibility)s", false)]
    [InlineData("project_id:%(project_id)s%(user_id)s", false)]
    // and binds stronger than or, not binds strongest.
    [InlineData("@ or ! and !", true)]
    [InlineData("(@ or !) and !", false)]
    [InlineData("! and ! or @", true)]
    [InlineData("not ! and !", false)]
    [InlineData("not (! and !)", true)]
    [InlineData("not ! or !", true)]
    [InlineData("role:admin OR (role:member AND project_id:%(project_id)s)", true)]
    [InlineData("((((role:member))))", true)]
    [InlineData("rule:yes and not rule:no", true)]
    public void A_check_means_what_oslo_policy_says(string text, bool allowed) =>
        Assert.Equal(allowed, PolicyLanguage.Parse(text).Allows(name => name == "yes", new Someone(), Thing));

    [Theory]
    [InlineData("role", "column 1: 'role' is no check: write kind:value, for example role:member")]
    [InlineData("role:", "column 1: 'role:' is no check")]
    [InlineData(":x", "column 1: ':x' is no check")]
    [InlineData("@ @", "column 3: 'and' or 'or' is expected before '@'")]
    [InlineData("@ and", "column 6: a check such as role:member is expected, and the text ends")]
    [InlineData("and @", "column 1: a check such as role:member is expected, not 'and'")]
    [InlineData("@ or or @", "column 6: a check such as role:member is expected, not 'or'")]
    [InlineData("not", "column 4: a check such as role:member is expected, and the text ends")]
    [InlineData("(@", "column 1: this parenthesis is never closed")]
    [InlineData("@)", "column 2: this parenthesis was never opened")]
    [InlineData("()", "column 2: a check such as role:member is expected, not ')'")]
    [InlineData("'open:x", "column 1: this quote is never closed")]
    [InlineData("user_id:%(user_id)", "column 9: write %(name)s")]
    [InlineData("user_id:%()s", "column 9: write %(name)s")]
    [InlineData("http://policy.example/%(x)s", "column 1: checks that ask another server are not supported")]
    [InlineData("a$b:c", "column 1: 'a$b' is neither rule, role, an attribute of the caller nor a literal")]
    public void What_is_no_check_is_said_with_its_column(string text, string message) =>
        Assert.StartsWith(message, Assert.Throws<FormatException>(() => PolicyLanguage.Parse(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void Nesting_has_an_end() =>
        Assert.Contains("nested deeper than 64", Assert.Throws<FormatException>(() => PolicyLanguage.Parse(new string('(', 5000) + "@")).Message, StringComparison.Ordinal);

    [Fact]
    public void Every_check_that_can_be_made_reads_back_as_itself()
    {
        var random = new Random(20261122);
        for (var i = 0; i < 5000; i++)
        {
            var check = Make(random, 6);
            var again = PolicyLanguage.Parse(check.ToString()!);
            Assert.Equal(check, again);
        }
    }

    [Fact]
    public void Every_check_allows_what_its_operators_say()
    {
        var random = new Random(7);
        for (var i = 0; i < 5000; i++)
        {
            var (text, expected) = Truth(random, 5);
            Assert.True(expected == PolicyLanguage.Parse(text).Allows(_ => throw new InvalidOperationException(), new Someone(), Thing), text);
        }
    }

    [Fact]
    public void No_text_does_anything_but_read_or_say_what_is_wrong_with_it()
    {
        string[] pieces = ["(", ")", " ", "and", "or", "not", "role:", "rule:x", "@", "!", "'", "\"", "%(", ")s", "%", ":", "a", "é", "\0", "😀", "None:", "1:1"];
        var random = new Random(99);
        for (var i = 0; i < 20_000; i++)
        {
            var text = string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => pieces[random.Next(pieces.Length)]));
            try
            {
                PolicyLanguage.Parse(text).Allows(_ => true, new Someone(), Thing);
            }
            catch (FormatException e)
            {
                Assert.StartsWith("column ", e.Message, StringComparison.Ordinal);
            }
        }
    }

    [Theory]
    [InlineData("os_compute_api:servers:index: role:member and", "line 1: os_compute_api:servers:index: column 16")]
    [InlineData("\"a\": \"rule:b\"", "line 1: a: it asks rule:b, and there is no such rule")]
    [InlineData("\"a\": \"rule:b\"\n\"b\": \"@ or rule:a\"", "line 1: a: it asks itself: a → b → a")]
    [InlineData("\"project_reader_api\": \"rule:project_reader_or_admin\"", "line 1: project_reader_api: it asks itself: project_reader_api → project_reader_or_admin → project_reader_api")]
    [InlineData("get_image:", "line 1: get_image: a text is expected")]
    [InlineData("get_image: [role, admin]", "line 1: get_image: a text is expected")]
    [InlineData("- get_image", "line 1: a mapping (key: value) is expected")]
    [InlineData("get_image: '@'\nget_image: '!'", "line 2: it is no YAML")]
    public void A_wrong_file_is_said_with_line_and_rule(string yaml, string message) =>
        Assert.StartsWith(message, Assert.Throws<FormatException>(() => PolicyRules.Parse(yaml)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_file_overrides_what_it_names_and_nothing_else()
    {
        var rules = PolicyRules.Parse("""
            "os_compute_api:servers:create_image": "rule:backup_operator"
            "backup_operator": "role:backup and project_id:%(project_id)s"
            "get_image": ""
            "os_compute_api:os-keypairs:index": "@"
            """);
        Assert.False(rules.Allows(Policies.CreateImage, new Someone(), Thing));
        Assert.True(rules.Allows(Policies.CreateImage, new Someone("backup"), Thing));
        Assert.True(rules.Allows(Policies.ShowServer, new Someone("reader"), Thing));
        Assert.True(rules.Allows(Policies.ShowImage, new Someone("none"), PolicyTarget.Of("elsewhere")));
        Assert.Equal(["os_compute_api:os-keypairs:index"], rules.Unused);
    }

    [Fact]
    public void Every_default_can_be_read_and_asks_only_rules_that_there_are() => Assert.All(
        Policies.Defaults, rule => Assert.Subset(Policies.Defaults.Keys.ToHashSet(), PolicyLanguage.Parse(rule.Value).Rules.ToHashSet()));

    private static PolicyCheck Make(Random random, int depth) => (depth == 0 ? random.Next(5) : random.Next(8)) switch
    {
        0 => new PolicyCheck.Always(),
        1 => new PolicyCheck.Never(),
        2 => new PolicyCheck.Role("member"),
        3 => new PolicyCheck.Attribute("project_id", "%(project_id)s"),
        4 => new PolicyCheck.Literal("'and (or'", "and (or", "%(visibility)s"),
        5 => new PolicyCheck.Not(Make(random, depth - 1)),
        6 => new PolicyCheck.And(Make(random, depth - 1), Make(random, depth - 1)),
        _ => new PolicyCheck.Or(Make(random, depth - 1), Make(random, depth - 1)),
    };

    /// <summary>A text with every operator in parentheses, and whether it allows.</summary>
    private static (string Text, bool Allowed) Truth(Random random, int depth)
    {
        if (depth == 0 || random.Next(4) == 0)
        {
            return random.Next(2) == 0 ? ("role:member", true) : ("role:admin", false);
        }

        var (left, a) = Truth(random, depth - 1);
        var (right, b) = Truth(random, depth - 1);
        return random.Next(3) switch
        {
            0 => ($"(not {left})", !a),
            1 => ($"({left} and {right})", a && b),
            _ => ($"({left} or {right})", a || b),
        };
    }

    private sealed class Someone(string role = "member") : ICredentials
    {
        public IReadOnlyList<string> Values(string attribute) => attribute switch
        {
            "roles" => [role],
            "project_id" => ["p1"],
            "user_id" => ["u2"],
            _ => [],
        };
    }
}
