using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Unit;

public sealed class CountingQuota
{
    [Theory]
    [InlineData(10, 8, 1, 1, false)] // exactly at the limit
    [InlineData(10, 9, 1, 1, true)]
    [InlineData(10, 11, 0, 0, true)] // over already: nothing more, not even nothing
    [InlineData(0, 0, 0, 1, true)]
    [InlineData(-1, 1_000_000, 0, 1, false)]
    [InlineData(-1, 2_147_483_647, 0, 1, true)] // more than can be counted
    [InlineData(-1, 2_147_483_646, 0, 1, false)]
    public void An_addition_is_over_when_use_reservations_and_itself_pass_the_limit(int limit, long inUse, long reserved, long added, bool over) =>
        Assert.Equal(over, Overrun(Quota.Snapshots, limit, inUse, reserved, added).IsOver);

    [Fact]
    public void Volumes_add_a_snapshot_and_their_size_each_to_their_project_and_to_their_type()
    {
        var deltas = Quota.Of([Cut("p", 10, "fast"), Cut("p", 5, null), Cut("q", 7, "fast"), Cut("p", 1, "fast")]);
        Assert.Equal(
            [
                new QuotaDelta("p", "gigabytes", 16), new QuotaDelta("p", "gigabytes_fast", 11), new QuotaDelta("p", "snapshots", 3), new QuotaDelta("p", "snapshots_fast", 2),
                new QuotaDelta("q", "gigabytes", 7), new QuotaDelta("q", "gigabytes_fast", 7), new QuotaDelta("q", "snapshots", 1), new QuotaDelta("q", "snapshots_fast", 1),
            ],
            deltas);
    }

    [Theory]
    [InlineData("snapshots", 10)]
    [InlineData("volumes", 10)]
    [InlineData("gigabytes", 1000)]
    [InlineData("snapshots_fast", -1)]
    [InlineData("gigabytes_fast", -1)]
    public void A_project_without_limits_of_its_own_has_those_that_Cinder_comes_with(string resource, int limit) => Assert.Equal(limit, Quota.DefaultLimit(resource));

    [Fact]
    public void The_compute_refusal_names_every_resource_that_is_over_and_no_other()
    {
        var deltas = Quota.Of([Cut("p", 10, "fast")]);
        var levels = deltas.Select(d => new QuotaLevel("p", d.Resource, d.Resource.EndsWith("fast", StringComparison.Ordinal) ? 0 : -1, 0, 0));
        var e = Quota.Exceeded(Quota.Overruns(deltas, levels));
        Assert.Equal((ErrorKind.QuotaExceeded, "Quota exceeded for resources: gigabytes_fast, snapshots_fast (gigabytes_fast: 10 more, 0 of 0 taken; snapshots_fast: 1 more, 0 of 0 taken)"), (e.Kind, e.Message));
    }

    [Fact]
    public void Block_storage_reports_gigabytes_before_snapshots()
    {
        var deltas = Quota.Of([Cut("p", 10, null)]);
        var first = Quota.Overruns(deltas, deltas.Select(d => new QuotaLevel("p", d.Resource, 0, 3, 2)))[0];
        Assert.Equal(
            "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested 10G, quota is 0G and 5G has been consumed.",
            first.BlockStorageMessage);
    }

    [Fact]
    public void Block_storage_words_each_refusal_as_Cinder_does()
    {
        Assert.Equal("SnapshotLimitExceeded: Maximum number of snapshots allowed (3) exceeded", Overrun(Quota.Snapshots, 3, 3, 0, 1).BlockStorageMessage);
        Assert.Equal("QuotaUsageOverflow: Quota usage would overflow for resources: gigabytes.", Overrun(Quota.Gigabytes, -1, int.MaxValue, 0, 1).BlockStorageMessage);
        Assert.Contains("allowed gigabytes_fast quota", Overrun("gigabytes_fast", 1, 1, 0, 1).BlockStorageMessage, StringComparison.Ordinal);
    }

    private static QuotaOverrun Overrun(string resource, int limit, long inUse, long reserved, long added) =>
        new(new QuotaDelta("p", resource, added), new QuotaLevel("p", resource, limit, inUse, reserved));

    private static VolumeToCut Cut(string project, int size, string? type) => new(VolumeId.New(), SnapshotId.New(), project, "host1@file", null, size, type, false);
}
