using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Store;

/// <summary>How things stand over all projects. Each step is seen from an empty database on.</summary>
public sealed class StandingOfThings : IClassFixture<StoreDatabase>
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly StoreDatabase db;

    public StandingOfThings(StoreDatabase db)
    {
        this.db = db;
        db.Require();
    }

    [Fact]
    public async Task A_run_shows_while_it_goes_on_and_as_the_last_success_when_it_has_completed()
    {
        var standing = new StandingStore(db.Database);
        var before = await standing.ReadAsync(None);
        var records = await RecordKeeping.OnAsync(db);
        await records.PrepareAsync();

        var during = await standing.ReadAsync(None);
        Assert.Equal((0, 1), (before.Running, during.Running));
        Assert.Null(before.LastSuccessAt);

        await records.SucceedAsync();

        var after = await standing.ReadAsync(None);
        Assert.Equal((0, 0), (after.Running, after.Reservations));
        Assert.Equal((await db.Runs.FindVisibleAsync(records.Input.Image, records.Owner, None))!.EndedAt, after.LastSuccessAt);
        Assert.Equal(await db.ScalarAsync("SELECT count(*) FROM notifications"), after.Undelivered);
        Assert.NotNull(after.OldestUndeliveredAt);
    }

    [Fact]
    public async Task Findings_are_counted_by_kind_until_they_are_repaired_or_gone()
    {
        var standing = new StandingStore(db.Database);
        var key = new FindingKey(FindingKind.StuckSnapshot, "snapshot-1");
        await db.Database.WriteAsync(s => db.Findings.RecordAsync(s, [new(key, null, "stuck", Given.Now, Given.Now)], [], Given.Now), None);
        Assert.Equal(1, (await standing.ReadAsync(None)).Findings[FindingKind.StuckSnapshot]);

        await db.Database.WriteAsync(s => db.Findings.RecordRepairAsync(s, [key], "closed", true, Given.Now), None);

        Assert.Empty((await standing.ReadAsync(None)).Findings);
    }
}
