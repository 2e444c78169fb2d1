using SnapshotFlow.Model;

namespace SnapshotFlow.Tests.Unit;

public sealed class ShowingEvidence
{
    private static readonly DateTimeOffset At = new(2026, 8, 1, 12, 0, 0, TimeSpan.FromHours(2));
    private static readonly ServerId Server = ServerId.New();

    [Fact]
    public void A_frozen_guest_is_shown_with_its_times_in_UTC()
    {
        var properties = EvidenceProperties.Of(new Evidence(Consistency.Application, null, At, At.AddMilliseconds(1234), false, []), Server);
        Assert.Equal(
            new Dictionary<string, string>
            {
                ["snapshotflow_consistency"] = "application",
                ["snapshotflow_cut_skew_ms"] = "0",
                ["snapshotflow_freeze_ms"] = "1234",
                ["snapshotflow_frozen_at"] = "2026-08-01T10:00:00.000Z",
                ["snapshotflow_server_id"] = Server.ToString(),
                ["snapshotflow_thawed_at"] = "2026-08-01T10:00:01.234Z",
            },
            properties.ToDictionary());
    }

    [Theory]
    [InlineData(Consistency.Crash, "crash")]
    [InlineData(Consistency.Offline, "offline")]
    [InlineData(Consistency.None, "none")]
    public void A_guest_that_was_not_frozen_has_no_times(Consistency consistency, string text)
    {
        var properties = EvidenceProperties.Of(new Evidence(consistency, "why", null, null, false, []), Server);
        Assert.Equal(["snapshotflow_consistency", "snapshotflow_cut_skew_ms", "snapshotflow_server_id"], properties.Keys);
        Assert.Equal(text, properties["snapshotflow_consistency"]);
    }

    [Fact]
    public void Every_property_is_reserved_and_so_neither_given_nor_inherited() =>
        Assert.All(EvidenceProperties.Of(new Evidence(Consistency.Application, null, At, At, false, []), Server).Keys, k => Assert.True(ImageMetadataRules.IsReserved(k)));
}
