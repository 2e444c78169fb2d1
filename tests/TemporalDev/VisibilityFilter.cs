using System.Globalization;
using System.Text.Json;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using SnapshotFlow.TemporalDev.Store;
using SnapshotFlow.TemporalDev.Visibility;
using SnapshotFlow.TemporalDev.Visibility.Filter;
using Temporalio.Api.Common.V1;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Workflow.V1;

namespace SnapshotFlow.Tests.TemporalDev;

public sealed class VisibilityFilter : IAsyncLifetime
{
    private readonly CommitQueue commits = new(new MemoryStore(), error => throw error);
    private readonly SearchAttributeRegistry registry;
    private readonly VisibilityIndex index;

    public VisibilityFilter()
    {
        registry = new SearchAttributeRegistry(commits);
        index = new VisibilityIndex(registry);
    }

    public async ValueTask InitializeAsync()
    {
        await registry.RegisterAsync("default", new Dictionary<string, AttributeKind>
        {
            ["Project"] = AttributeKind.Keyword,
            ["Attempts"] = AttributeKind.Int,
            ["Load"] = AttributeKind.Double,
            ["Urgent"] = AttributeKind.Bool,
            ["Due"] = AttributeKind.Datetime,
            ["Tags"] = AttributeKind.KeywordList,
            ["Notes"] = AttributeKind.Text,
            ["order"] = AttributeKind.Keyword,
        });

        // alpha: completed after 90 s, a child of root. beta: running, no custom attributes. gamma: failed after 5 s.
        Put("alpha", "CreateImage", WorkflowExecutionStatus.Completed, "2026-01-01T10:00:00Z", 90, new()
        {
            ["Project"] = "red", ["Attempts"] = 3, ["Load"] = 0.5, ["Urgent"] = true, ["Due"] = "2026-02-01T00:00:00+01:00", ["Tags"] = new[] { "disk", "cold" },
            ["Notes"] = "Frozen guest, thawed late",
        }, parent: "root");
        Put("beta", "CreateImage", WorkflowExecutionStatus.Running, "2026-01-01T11:00:00Z", null, []);
        Put("gamma", "Prune", WorkflowExecutionStatus.Failed, "2026-01-01T12:00:00Z", 5, new()
        {
            ["Project"] = "reddish", ["Attempts"] = 10, ["Load"] = -2, ["Urgent"] = false, ["Due"] = "2026-03-01T00:00:00.123456789Z", ["Tags"] = new[] { "cold" },
            ["Notes"] = "guest", ["order"] = "it's",
        });
    }

    public ValueTask DisposeAsync() => commits.DisposeAsync();

    [Theory]
    [InlineData("", "gamma beta alpha")]
    [InlineData("WorkflowId = 'alpha'", "alpha")]
    [InlineData("WorkflowId = \"alpha\"", "alpha")]
    [InlineData("`WorkflowId` = 'alpha'", "alpha")]
    [InlineData("WorkflowId='alpha'OR WorkflowId='beta'", "beta alpha")]
    [InlineData("WorkflowId != 'alpha'", "gamma beta")]
    [InlineData("WorkflowId <> 'alpha'", "gamma beta")]
    [InlineData("WorkflowId > 'alpha' AND WorkflowId <= 'beta'", "beta")]
    [InlineData("WorkflowId IN ('alpha', 'gamma', 'delta')", "gamma alpha")]
    [InlineData("WorkflowId NOT IN ('alpha')", "gamma beta")]
    [InlineData("WorkflowId STARTS_WITH 'al'", "alpha")]
    [InlineData("WorkflowId NOT STARTS_WITH 'al'", "gamma beta")]
    [InlineData("workflowtype IS NULL", null)]
    [InlineData("WorkflowType = 'CreateImage' and ExecutionStatus = 'Running'", "beta")]
    [InlineData("ExecutionStatus IN ('Completed', 'failed')", "gamma alpha")]
    [InlineData("ExecutionStatus != 'Running'", "gamma alpha")]
    [InlineData("ExecutionStatus = 'WORKFLOW_EXECUTION_STATUS_RUNNING'", "beta")]
    [InlineData("ExecutionStatus = 1", "beta")]
    [InlineData("TaskQueue = 'queue'", "gamma beta alpha")]
    [InlineData("StartTime > '2026-01-01T10:00:00Z'", "gamma beta")]
    [InlineData("StartTime >= '2026-01-01T11:00:00+01:00'", "gamma beta alpha")]
    [InlineData("StartTime BETWEEN '2026-01-01T10:30:00Z' AND '2026-01-01T11:00:00Z'", "beta")]
    [InlineData("StartTime NOT BETWEEN '2026-01-01T10:30:00Z' AND '2026-01-01T11:00:00Z'", "gamma alpha")]
    [InlineData("StartTime = 1767261600000000000", "alpha")]
    [InlineData("CloseTime IS NULL", "beta")]
    [InlineData("CloseTime IS NOT NULL", "gamma alpha")]
    [InlineData("CloseTime < '2026-01-01T11:00:00Z'", "alpha")]
    [InlineData("ExecutionDuration > '1m'", "alpha")]
    [InlineData("ExecutionDuration = '00:01:30'", "alpha")]
    [InlineData("ExecutionDuration <= 5000000000", "gamma")]
    [InlineData("HistoryLength >= 7 AND HistoryLength < 8", "gamma beta alpha")]
    [InlineData("ParentWorkflowId = 'root'", "alpha")]
    [InlineData("ParentWorkflowId IS NULL", "gamma beta")]
    [InlineData("RootWorkflowId = 'root'", "alpha")]
    [InlineData("RootWorkflowId = 'beta'", "beta")]
    public void System_attributes_select_runs(string query, string? expected) => AssertSelects(query, expected);

    [Theory]
    [InlineData("Project = 'red'", "alpha")]
    [InlineData("Project STARTS_WITH 'red'", "gamma alpha")]
    [InlineData("Attempts > 3", "gamma")]
    [InlineData("Attempts IN (3, 4)", "alpha")]
    [InlineData("Attempts = -1", "")]
    [InlineData("Load < 0", "gamma")]
    [InlineData("Load = 0.5", "alpha")]
    [InlineData("Load >= -2e0", "gamma alpha")]
    [InlineData("Load = .5", "alpha")]
    [InlineData("Urgent = true", "alpha")]
    [InlineData("Urgent != TRUE", "gamma")]
    [InlineData("Due = '2026-01-31T23:00:00Z'", "alpha")]
    [InlineData("Due = '2026-03-01T00:00:00.1234567Z'", "gamma")]
    [InlineData("Tags = 'cold'", "gamma alpha")]
    [InlineData("Tags != 'disk'", "gamma")]
    [InlineData("Tags IN ('disk', 'tape')", "alpha")]
    [InlineData("Tags NOT IN ('disk', 'tape')", "gamma")]
    [InlineData("Notes = 'GUEST'", "gamma alpha")]
    [InlineData("Notes = 'late thawed'", "alpha")]
    [InlineData("Notes != 'thawed'", "gamma")]
    [InlineData("`order` = 'it''s'", "gamma")]
    [InlineData("`order` = 'it\\'s'", "gamma")]
    [InlineData("`order` = \"it's\"", "gamma")]
    public void Custom_attributes_select_runs_by_their_type(string query, string expected) => AssertSelects(query, expected);

    [Theory]
    [InlineData("Project = 'red' OR WorkflowId = 'beta'", "beta alpha")]
    [InlineData("Project != 'red'", "gamma")]
    [InlineData("NOT Project = 'red'", "gamma")]
    [InlineData("NOT NOT Project = 'red'", "alpha")]
    [InlineData("NOT (Project = 'red' AND WorkflowId = 'gamma')", "gamma beta alpha")]
    [InlineData("NOT (Project = 'red' OR WorkflowId = 'gamma')", "")]
    [InlineData("Project NOT STARTS_WITH 'x'", "gamma alpha")]
    [InlineData("Attempts NOT IN (3)", "gamma")]
    [InlineData("Project IS NULL AND WorkflowType = 'CreateImage'", "beta")]
    public void A_comparison_with_a_missing_attribute_is_neither_true_nor_false(string query, string expected) => AssertSelects(query, expected);

    [Theory]
    [InlineData("WorkflowId = 'alpha' OR WorkflowId = 'beta' AND ExecutionStatus = 'Failed'", "alpha")]
    [InlineData("(WorkflowId = 'alpha' OR WorkflowId = 'beta') AND ExecutionStatus = 'Running'", "beta")]
    [InlineData("NOT WorkflowId = 'alpha' AND WorkflowId != 'beta'", "gamma")]
    [InlineData("NOT (WorkflowId = 'alpha' AND WorkflowId != 'beta')", "gamma beta")]
    public void Not_binds_before_and_and_before_or(string query, string expected) => AssertSelects(query, expected);

    [Theory]
    [InlineData("ORDER BY StartTime", "alpha beta gamma")]
    [InlineData("ORDER BY StartTime DESC", "gamma beta alpha")]
    [InlineData("WorkflowType = 'CreateImage' ORDER BY WorkflowId ASC", "alpha beta")]
    [InlineData("ORDER BY Attempts", "alpha gamma beta")]
    [InlineData("ORDER BY Attempts DESC", "gamma alpha beta")]
    [InlineData("order by WorkflowType desc, StartTime asc", "gamma alpha beta")]
    [InlineData("ORDER BY CloseTime", "alpha gamma beta")]
    public void Lists_come_in_the_order_asked_for_and_missing_values_last(string query, string expected)
    {
        AssertSelects(query, expected, ordered: true);
        Assert.Equal(expected, string.Join(' ', Pages(query, 1).Select(page => Assert.Single(page))));
    }

    [Theory]
    [InlineData("Nothing = 'x'", "'Nothing'")]
    [InlineData("workflowid = 'x'", "'workflowid'")]
    [InlineData("ORDER BY Nothing", "'Nothing'")]
    [InlineData("WorkflowId = 5", "type Keyword")]
    [InlineData("WorkflowId = true", "type Keyword")]
    [InlineData("WorkflowId = alpha", "expected a value")]
    [InlineData("Attempts = 'three'", "type Int")]
    [InlineData("Attempts = 1.5", "type Int")]
    [InlineData("Attempts = 99999999999999999999", "type Int")]
    [InlineData("Urgent = 'true'", "type Bool")]
    [InlineData("Urgent > true", "not supported")]
    [InlineData("Tags > 'a'", "not supported")]
    [InlineData("Tags STARTS_WITH 'a'", "not supported")]
    [InlineData("Notes IN ('a')", "not supported")]
    [InlineData("Notes < 'a'", "not supported")]
    [InlineData("ORDER BY Notes", "ORDER BY")]
    [InlineData("ORDER BY Tags", "ORDER BY")]
    [InlineData("Attempts STARTS_WITH 'a'", "not supported")]
    [InlineData("StartTime > 'yesterday'", "RFC 3339")]
    [InlineData("StartTime > '2026-01-01T00:00:00'", "RFC 3339")]
    [InlineData("StartTime > 2026-01-01", "in quotes")]
    [InlineData("ExecutionDuration > 'long'", "ExecutionDuration")]
    [InlineData("ExecutionStatus = 'Sleeping'", "execution status")]
    [InlineData("ExecutionStatus < 'Running'", "not supported")]
    [InlineData("GROUP BY ExecutionStatus", "counts only")]
    [InlineData("GROUP BY WorkflowType", "ExecutionStatus only")]
    [InlineData("GROUP BY ExecutionStatus, ExecutionStatus", "ExecutionStatus only")]
    [InlineData("WorkflowId = 'a' LIMIT 5", "LIMIT")]
    [InlineData("WorkflowId = 'a", "not closed")]
    [InlineData("WorkflowId", "an operator")]
    [InlineData("WorkflowId LIKE 'a%'", "an operator")]
    [InlineData("WorkflowId =", "the end of the query")]
    [InlineData("(WorkflowId = 'a'", "')'")]
    [InlineData("WorkflowId = 'a')", "')' at column 17")]
    [InlineData("WorkflowId IN ()", "expected a value")]
    [InlineData("WorkflowId IN 'a'", "'('")]
    [InlineData("StartTime BETWEEN '2026-01-01T00:00:00Z' '2026-01-02T00:00:00Z'", "AND")]
    [InlineData("WorkflowId IS 'a'", "NULL")]
    [InlineData("WorkflowId = 'a' AND", "a search attribute")]
    [InlineData("= 'a'", "a search attribute")]
    [InlineData("WorkflowId = 'a' ; drop", "';'")]
    [InlineData("Attempts = 12abc", "'12a…'")]
    public void A_query_that_cannot_be_understood_is_refused_and_says_where(string query, string says) =>
        Assert.Contains(says, Assert.Throws<InvalidQueryException>(() => index.List("default", query, 10, ByteString.Empty)).Message, StringComparison.Ordinal);

    [Fact]
    public void Deep_nesting_is_refused_instead_of_exhausting_the_stack() =>
        Assert.Throws<InvalidQueryException>(() => index.List("default", new string('(', 100_000), 10, ByteString.Empty));

    [Fact]
    public void Long_chains_of_conditions_are_fine() =>
        AssertSelects(string.Join(" OR ", Enumerable.Range(0, 20_000).Select(i => $"WorkflowId = '{i}'")) + " OR WorkflowId = 'alpha'", "alpha");

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Whatever_is_typed_is_either_understood_or_refused(int seed)
    {
        string[] words =
        [
            "WorkflowId", "Attempts", "Tags", "Notes", "StartTime", "ExecutionStatus", "Nothing", "=", "!=", "<", ">=", "IN", "NOT", "AND", "OR", "BETWEEN", "STARTS_WITH",
            "IS", "NULL", "ORDER", "GROUP", "BY", "DESC", "(", ")", ",", "'a'", "\"Running\"", "`Load`", "5", "-1.5e3", "true", "'2026-01-01T00:00:00Z'", "'", "`", ";", "1x", "é",
        ];
        var random = new Random(seed);
        var understood = 0;
        for (var i = 0; i < 20_000; i++)
        {
            var query = string.Join(' ', Enumerable.Range(0, random.Next(1, 9)).Select(_ => words[random.Next(words.Length)]));
            try
            {
                index.Count("default", query);
                understood++;
            }
            catch (InvalidQueryException error)
            {
                Assert.StartsWith("invalid query: ", error.Message, StringComparison.Ordinal);
            }
        }

        Assert.True(understood > 0, $"seed {seed} made no query that is understood");
    }

    [Fact]
    public void Attributes_of_another_namespace_are_unknown() =>
        Assert.Throws<InvalidQueryException>(() => index.List("other", "Project = 'red'", 10, ByteString.Empty));

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(50)]
    [InlineData(51)]
    [InlineData(1000)]
    public void Pages_show_every_run_once_whatever_their_size(int size)
    {
        for (var i = 0; i < 50; i++)
        {
            Put($"many-{i:00}", "Many", WorkflowExecutionStatus.Running, $"2026-05-01T00:00:{i / 5:00}Z", null, new() { ["Attempts"] = i % 3 });
        }

        foreach (var query in new[] { "WorkflowType = 'Many'", "WorkflowType = 'Many' ORDER BY Attempts DESC", "WorkflowType = 'Many' ORDER BY CloseTime, Attempts" })
        {
            var pages = Pages(query, size).ToList();
            Assert.Equal(50, pages.SelectMany(page => page).Distinct().Count());
            Assert.Equal(50, pages.Sum(page => page.Count));
            Assert.Equal((50 + size - 1) / size, pages.Count);
        }
    }

    [Fact]
    public void Runs_that_start_between_two_pages_neither_repeat_nor_hide_others()
    {
        var first = index.List("default", "", 1, ByteString.Empty);
        Put("newest", "Prune", WorkflowExecutionStatus.Running, "2026-01-02T00:00:00Z", null, []);
        index.Remove("default", "run-gamma");
        var second = index.List("default", "", 2, first.NextPageToken);

        Assert.Equal(["gamma"], first.Entries.Select(run => run.WorkflowId));
        Assert.Equal(["beta", "alpha"], second.Entries.Select(run => run.WorkflowId));
        Assert.True(second.NextPageToken.IsEmpty);
    }

    [Fact]
    public void A_page_token_of_another_query_is_refused()
    {
        var token = index.List("default", "", 1, ByteString.Empty).NextPageToken;
        Assert.Throws<InvalidQueryException>(() => index.List("default", "ORDER BY StartTime", 1, token));
        Assert.Throws<InvalidQueryException>(() => index.List("default", "", 1, ByteString.CopyFromUtf8("nonsense")));
    }

    [Fact]
    public void Counts_are_split_by_status_when_asked()
    {
        Put("delta", "Prune", WorkflowExecutionStatus.Failed, "2026-01-03T00:00:00Z", 1, []);
        Assert.Equal(4, index.Count("default", "").Total);
        Assert.Equal(2, index.Count("default", "WorkflowType = 'Prune'").Total);

        var count = index.Count("default", "GROUP BY ExecutionStatus");
        Assert.Equal(4, count.Total);
        Assert.Equal([new("Running", 1), new("Completed", 1), new("Failed", 2)], count.Groups);
        Assert.Equal([new("Failed", 2)], index.Count("default", "WorkflowType = 'Prune' GROUP BY ExecutionStatus").Groups);
    }

    [Fact]
    public void A_later_record_of_a_run_replaces_the_earlier_one()
    {
        Put("beta", "CreateImage", WorkflowExecutionStatus.Terminated, "2026-01-01T11:00:00Z", 4, []);
        AssertSelects("WorkflowId = 'beta' AND ExecutionStatus = 'Terminated'", "beta");
        AssertSelects("ExecutionStatus = 'Running'", "");
    }

    [Fact]
    public void A_record_that_arrives_late_does_not_hide_a_newer_one()
    {
        var info = index.List("default", "WorkflowId = 'beta'", 1, ByteString.Empty).Entries[0].Info;
        var closed = info.Clone();
        (closed.Status, closed.StateTransitionCount) = (WorkflowExecutionStatus.Completed, 9);
        var earlier = info.Clone();
        earlier.StateTransitionCount = 8;

        index.Put("default", closed);
        index.Put("default", earlier);

        AssertSelects("WorkflowId = 'beta' AND ExecutionStatus = 'Completed'", "beta");
    }

    private void AssertSelects(string query, string? expected, bool ordered = false)
    {
        if (expected is null)
        {
            Assert.Throws<InvalidQueryException>(() => index.List("default", query, 0, ByteString.Empty));
            return;
        }

        var page = index.List("default", query, 0, ByteString.Empty);
        Assert.Equal(expected, string.Join(' ', page.Entries.Select(run => run.WorkflowId)));
        Assert.True(page.NextPageToken.IsEmpty);
        if (!ordered)
        {
            Assert.Equal(page.Entries.Count, index.Count("default", query).Total);
        }
    }

    private IEnumerable<List<string>> Pages(string query, int size)
    {
        var token = ByteString.Empty;
        do
        {
            var page = index.List("default", query, size, token);
            yield return [.. page.Entries.Select(run => run.WorkflowId)];
            token = page.NextPageToken;
        }
        while (!token.IsEmpty);
    }

    private void Put(
        string id, string type, WorkflowExecutionStatus status, string start, int? seconds, Dictionary<string, object> attributes, string? parent = null)
    {
        var started = Timestamp.FromDateTimeOffset(DateTimeOffset.Parse(start, CultureInfo.InvariantCulture));
        var set = new SearchAttributes();
        foreach (var (name, value) in attributes)
        {
            set.IndexedFields[name] = new Payload { Data = ByteString.CopyFrom(JsonSerializer.SerializeToUtf8Bytes(value)) };
        }

        index.Put("default", new WorkflowExecutionInfo
        {
            Execution = new WorkflowExecution { WorkflowId = id, RunId = $"run-{id}" },
            Type = new WorkflowType { Name = type },
            Status = status,
            StartTime = started,
            ExecutionTime = started,
            CloseTime = seconds is { } closed ? started + Duration.FromTimeSpan(TimeSpan.FromSeconds(closed)) : null,
            ExecutionDuration = seconds is { } lasted ? Duration.FromTimeSpan(TimeSpan.FromSeconds(lasted)) : null,
            TaskQueue = "queue",
            HistoryLength = 7,
            SearchAttributes = registry.Of("default").Check(set),
            ParentExecution = parent is null ? null : new WorkflowExecution { WorkflowId = parent, RunId = "run-" + parent },
            RootExecution = parent is null ? null : new WorkflowExecution { WorkflowId = parent, RunId = "run-" + parent },
        });
    }
}
