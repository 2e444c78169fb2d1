using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Store;

/// <summary>When the images of server groups were made, as the metrics tell it.</summary>
public sealed class StandingOfServerGroups : IClassFixture<StoreDatabase>
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly StoreDatabase db;

    public StandingOfServerGroups(StoreDatabase db)
    {
        this.db = db;
        db.Require();
    }

    [Fact]
    public async Task A_group_is_as_young_as_the_last_success_of_its_servers_or_as_old_as_its_first_server_without_one()
    {
        var one = await RecordKeeping.OnAsync(db, s => s with { ServerGroup = "both" });
        var other = await RecordKeeping.OnAsync(db, s => s with { ServerGroup = "both" });
        await RecordKeeping.OnAsync(db, s => s with { ServerGroup = "none" });
        await RecordKeeping.OnAsync(db);
        Assert.Equal((null, Given.Now), await OfAsync("both"));

        await one.PrepareAsync();
        Assert.Equal((null, Given.Now), await OfAsync("both"));
        await one.SucceedAsync();
        await other.SucceedAsync();

        Assert.Equal((await EndedAsync(other), null), await OfAsync("both"));
        Assert.Equal((null, Given.Now), await OfAsync("none"));
        Assert.DoesNotContain((await new StandingStore(db.Database).ReadAsync(None)).Groups, g => g.Name is null);
    }

    [Fact]
    public async Task Groups_beyond_the_most_are_one_that_stands_as_the_worst_of_them()
    {
        var standing = new StandingStore(db.Database);
        foreach (var name in new[] { "!1", "!2", "~1", "~2" })
        {
            await RecordKeeping.OnAsync(db, s => s with { ServerGroup = name });
        }

        var known = (await standing.ReadAsync(None)).Groups;
        var found = (await standing.ReadAsync(2, None)).Groups;

        Assert.Equal(["!1", "!2", null], found.Select(g => g.Name));
        Assert.Equal(known.Take(2), found.Take(2));
        Assert.Equal(known.Skip(2).Min(g => g.LastSuccessAt), found[2].LastSuccessAt);
        Assert.Equal(Given.Now, found[2].WithoutSuccessSince);
    }

    private async Task<(DateTimeOffset?, DateTimeOffset?)> OfAsync(string name) =>
        (await new StandingStore(db.Database).ReadAsync(None)).Groups.Single(g => g.Name == name) is var group ? (group.LastSuccessAt, group.WithoutSuccessSince) : default;

    private async Task<DateTimeOffset?> EndedAsync(RecordKeeping records) => (await db.Runs.FindVisibleAsync(records.Input.Image, records.Owner, None))!.EndedAt;
}
