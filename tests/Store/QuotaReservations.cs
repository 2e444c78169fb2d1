using SnapshotFlow.Model;
using SnapshotFlow.Store;

namespace SnapshotFlow.Tests.Store;

public sealed class QuotaReservations : IClassFixture<StoreDatabase>
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly StoreDatabase db;

    public QuotaReservations(StoreDatabase db)
    {
        this.db = db;
        db.Require();
    }

    [Fact]
    public async Task Twenty_reservations_at_once_never_pass_the_limit()
    {
        var project = Given.Project();
        await db.Quotas.SetLimitAsync(project, Quota.Snapshots, 7, None);
        await db.Quotas.SetLimitAsync(project, Quota.Gigabytes, Quota.Unlimited, None);
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => ReserveAsync(ImageId.New(), Cut(project, 5))));

        Assert.Equal(7, answers.Count(a => a.Count == 0));
        Assert.All(answers.Where(a => a.Count > 0), a => Assert.Equal([Quota.Snapshots], a.Select(o => o.Delta.Resource)));
        Assert.Equal((0, 7), await LevelAsync(project, Quota.Snapshots));
        Assert.Equal((0, 35), await LevelAsync(project, Quota.Gigabytes));
    }

    [Fact]
    public async Task Reservations_that_span_the_same_projects_in_any_order_never_wait_in_a_circle()
    {
        var (one, two) = (Given.Project(), Given.Project());
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(i =>
            ReserveAsync(ImageId.New(), i % 2 == 0 ? [.. Cut(one, 1), .. Cut(two, 1)] : [.. Cut(two, 1), .. Cut(one, 1)])));
        Assert.Equal(Quota.DefaultLimit(Quota.Snapshots), answers.Count(a => a.Count == 0));
    }

    [Fact]
    public async Task Reserving_for_the_same_image_again_adds_nothing()
    {
        var project = Given.Project();
        var image = ImageId.New();
        var answers = await Task.WhenAll(Enumerable.Range(0, 5).Select(_ => ReserveAsync(image, Cut(project, 5))));
        Assert.All(answers, Assert.Empty);
        Assert.Equal((0, 1), await LevelAsync(project, Quota.Snapshots));
    }

    [Fact]
    public async Task The_limit_itself_may_be_reached_and_one_more_may_not()
    {
        var project = Given.Project();
        await db.Quotas.SetLimitAsync(project, Quota.Gigabytes, 30, None);
        Assert.Empty(await ReserveAsync(ImageId.New(), Cut(project, 10, 20)));
        Assert.Equal([Quota.Gigabytes], (await ReserveAsync(ImageId.New(), Cut(project, 1))).Select(o => o.Delta.Resource));
    }

    [Fact]
    public async Task What_is_over_reserves_nothing_at_all()
    {
        var project = Given.Project();
        await db.Quotas.SetLimitAsync(project, Quota.OfType(Quota.Snapshots, "fast"), 0, None);
        var over = await ReserveAsync(ImageId.New(), Quota.Of([Of(project, 5, null), Of(project, 5, "fast")]));
        Assert.Equal(["snapshots_fast"], over.Select(o => o.Delta.Resource));
        Assert.Equal((0, 0), await LevelAsync(project, Quota.Snapshots));
    }

    [Fact]
    public async Task Volumes_count_in_gigabytes_and_other_projects_do_not()
    {
        var (project, other) = (Given.Project(), Given.Project());
        await db.Servers.RegisterAsync(Given.Registration(Given.Server(project), Given.Volume(project, 100, "fast"), Given.Volume(project, 20)), Given.Now, None);
        await db.Servers.RegisterAsync(Given.Registration(Given.Server(other), Given.Volume(other, 500)), Given.Now, None);
        Assert.Equal((120, 0), await LevelAsync(project, Quota.Gigabytes));
        Assert.Equal((100, 0), await LevelAsync(project, "gigabytes_fast"));
        Assert.Equal((2, 0), await LevelAsync(project, Quota.Volumes));
        Assert.Equal((1, 0), await LevelAsync(project, "volumes_fast"));
    }

    [Fact]
    public async Task A_reservation_that_nobody_ends_stops_counting_after_a_day()
    {
        var project = Given.Project();
        await ReserveAsync(ImageId.New(), Cut(project, 5));
        var later = await db.Quotas.LevelsAsync(project, Given.Now + QuotaStore.ReservationLifetime, None);
        Assert.Equal(0, later.Single(l => l.Resource == Quota.Snapshots).Reserved);
    }

    [Fact]
    public async Task A_limit_below_minus_one_is_refused()
    {
        var e = await Assert.ThrowsAsync<SnapshotFlowException>(() => db.Quotas.SetLimitAsync(Given.Project(), Quota.Snapshots, -2, None));
        Assert.Equal(ErrorKind.InvalidRequest, e.Kind);
    }

    /// <summary>After any sequence of reserve, add rows, complete, remove and close, in any order and with repeats, usage is what a count of the rows says.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task Usage_equals_the_live_rows_after_any_sequence(int seed)
    {
        var random = new Random(seed);
        var project = Given.Project();
        var volumes = Enumerable.Range(0, 4).Select(i => Given.Volume(project, 1 + random.Next(20), i % 2 == 0 ? "fast" : null)).ToArray();
        await db.Servers.RegisterAsync(Given.Registration(Given.Server(project), volumes), Given.Now, None);
        foreach (var resource in new[] { Quota.Snapshots, Quota.Gigabytes })
        {
            await db.Quotas.SetLimitAsync(project, resource, 15 + random.Next(200), None);
        }

        var cuts = new Dictionary<ImageId, Volume[]>();
        foreach (var _ in Enumerable.Range(0, 6))
        {
            cuts[ImageId.New()] = [.. volumes.Where(_ => random.Next(2) == 0)];
        }

        var reserved = new HashSet<ImageId>();
        var live = new HashSet<ImageId>();
        for (var step = 0; step < 120; step++)
        {
            var (image, cut) = cuts.ElementAt(random.Next(cuts.Count));
            switch (random.Next(5))
            {
                case 0 when !live.Contains(image):
                    if ((await ReserveAsync(image, Quota.Of(cut.Select(v => Of(project, v.SizeGib, v.VolumeType))))).Count == 0)
                    {
                        reserved.Add(image);
                    }

                    break;
                case 1 when reserved.Contains(image):
                    await db.Database.WriteAsync(s => db.Snapshots.AddAsync(s, cut.Select(v => Given.Snapshot(v, image))), None);
                    live.Add(image);
                    break;
                case 2:
                    await db.Database.WriteAsync(s => db.Snapshots.CompleteAsync(s, image, Given.Now), None);
                    break;
                case 3:
                    await db.Database.WriteAsync(s => db.Snapshots.RemoveAsync(s, image, [], Given.Now), None);
                    live.Remove(image);
                    break;
                case 4:
                    await db.Database.WriteAsync(s => db.Quotas.CloseAsync(s, image), None);
                    reserved.Remove(image);
                    break;
                default:
                    break;
            }

            var inUse = cuts.Where(c => live.Contains(c.Key) && !reserved.Contains(c.Key)).SelectMany(c => c.Value).ToList();
            var held = cuts.Where(c => reserved.Contains(c.Key)).SelectMany(c => c.Value).ToList();
            var fast = (Volume v) => v.VolumeType == "fast";
            Assert.Equal((inUse.Count, held.Count), await LevelAsync(project, Quota.Snapshots));
            Assert.Equal((inUse.Sum(v => v.SizeGib) + volumes.Sum(v => v.SizeGib), held.Sum(v => v.SizeGib)), await LevelAsync(project, Quota.Gigabytes));
            Assert.Equal((inUse.Count(fast), held.Count(fast)), await LevelAsync(project, "snapshots_fast"));
            Assert.Equal(
                (inUse.Where(fast).Sum(v => v.SizeGib) + volumes.Where(fast).Sum(v => v.SizeGib), held.Where(fast).Sum(v => v.SizeGib)),
                await LevelAsync(project, "gigabytes_fast"));
        }
    }

    private static IReadOnlyList<QuotaDelta> Cut(string project, params int[] sizes) => Quota.Of(sizes.Select(size => Of(project, size, null)));

    private static VolumeToCut Of(string project, int size, string? type) => new(VolumeId.New(), SnapshotId.New(), project, "host1@file", null, size, type, false);

    private Task<IReadOnlyList<QuotaOverrun>> ReserveAsync(ImageId image, IReadOnlyList<QuotaDelta> deltas) =>
        db.Database.WriteAsync(s => db.Quotas.ReserveAsync(s, image, deltas, Given.Now), None);

    private async Task<(long InUse, long Reserved)> LevelAsync(string project, string resource) =>
        (await db.Quotas.LevelsAsync(project, Given.Now, None)).SingleOrDefault(l => l.Resource == resource) is { } level ? (level.InUse, level.Reserved) : (0, 0);
}
