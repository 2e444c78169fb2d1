using System.Net;
using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Api;

/// <summary>What operators can read of what looks have found.</summary>
public sealed class ReadingFindings(ApiAlone alone) : IClassFixture<ApiAlone>
{
    private static readonly DateTimeOffset Now = new(2026, 8, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly ApiUnderTest api = alone.Api;

    [Fact]
    public async Task An_administrator_sees_what_is_open_what_was_repaired_and_what_went_away()
    {
        var (open, repaired, gone) = (await FoundAsync(FindingKind.FrozenGuest), await FoundAsync(FindingKind.StrandedRun), await FoundAsync(FindingKind.StuckSnapshot));
        var (store, database) = (api.Service<FindingStore>(), api.Service<Database>());
        await database.WriteAsync(s => store.RecordRepairAsync(s, [repaired], "undone", succeeded: true, Now.AddMinutes(1)), Ct);
        await database.WriteAsync(s => store.RecordAsync(s, [], [gone], Now.AddMinutes(2)), Ct);

        var all = (await api.GetAsync("/admin/findings", api.Tokens.Admin)).Json.GetProperty("findings").EnumerateArray().ToDictionary(f => f.GetProperty("subject").GetString()!);
        Assert.Equal(("open", "frozen_guest"), (all[open.Subject].GetProperty("state").GetString(), all[open.Subject].GetProperty("kind").GetString()));
        Assert.Equal(("repaired", "undone"), (all[repaired.Subject].GetProperty("state").GetString(), all[repaired.Subject].GetProperty("done").GetString()));
        Assert.Equal(("gone", Now.AddMinutes(2)), (all[gone.Subject].GetProperty("state").GetString(), all[gone.Subject].GetProperty("ended_at").GetDateTimeOffset()));

        Assert.Contains(open.Subject, await SubjectsAsync("?open=1"));
        Assert.DoesNotContain(repaired.Subject, await SubjectsAsync("?open=1"));
        Assert.DoesNotContain(open.Subject, await SubjectsAsync("?open=0"));
        Assert.Contains(repaired.Subject, await SubjectsAsync("?kind=stranded_run"));
        Assert.DoesNotContain(open.Subject, await SubjectsAsync("?kind=stranded_run"));
    }

    [Fact]
    public async Task Page_by_page_every_finding_is_seen_once()
    {
        var made = new List<string>();
        for (var i = 0; i < 5; i++)
        {
            made.Add((await FoundAsync(FindingKind.RowWithoutSnapshot)).Subject);
        }

        var seen = new List<string>();
        for (var path = "/admin/findings?kind=row_without_snapshot&limit=2"; path is not null;)
        {
            var page = (await api.GetAsync(path, api.Tokens.Admin)).Json;
            seen.AddRange(page.GetProperty("findings").EnumerateArray().Select(f => f.GetProperty("subject").GetString()!));
            path = page.TryGetProperty("findings_links", out var links) ? new Uri(links[0].GetProperty("href").GetString()!, UriKind.Absolute).PathAndQuery : null;
        }

        Assert.Equal(made.Order(), seen.Order());
    }

    [Fact]
    public async Task Nobody_else_may_and_what_cannot_be_meant_is_400()
    {
        (await api.GetAsync("/admin/findings", api.Tokens.Member)).IsFault(403, "forbidden", "Policy doesn't allow snapshotflow:findings:get_all to be performed.");
        Assert.Equal(HttpStatusCode.Unauthorized, (await api.GetAsync("/admin/findings", null)).Status);
        foreach (var query in (string[])["kind=frozen", "marker=x", "limit=-1", "colour=red"])
        {
            (await api.GetAsync($"/admin/findings?{query}", api.Tokens.Admin)).IsFault(400, "badRequest");
        }
    }

    private static CancellationToken Ct => TestContext.Current.CancellationToken;

    private async Task<FindingKey> FoundAsync(FindingKind kind)
    {
        var key = new FindingKey(kind, Guid.NewGuid().ToString());
        await api.Service<Database>().WriteAsync(s => api.Service<FindingStore>().RecordAsync(s, [new(key, "compute.host1", "why", Now, Now)], [], Now), Ct);
        return key;
    }

    private async Task<IEnumerable<string?>> SubjectsAsync(string query) =>
        (await api.GetAsync($"/admin/findings{query}", api.Tokens.Admin)).Json.GetProperty("findings").EnumerateArray().Select(f => f.GetProperty("subject").GetString());
}
