using System.Text;
using SnapshotFlow.Workflows;
using SnapshotFlow.Workflows.Contracts;
using Temporalio.Api.Common.V1;
using Temporalio.Converters;

namespace SnapshotFlow.Tests.Workflow;

/// <summary>A Temporal server refuses what has a summary of more than 400 bytes, and names are other people's.</summary>
public sealed class FittingSummaries(CreateImageFixture fixture) : IClassFixture<CreateImageFixture>
{
    // Source: Temporal server, limit.userMetadataSummarySize.
    private const int Limit = 400;

    [Theory]
    [InlineData("x")]
    [InlineData("\"")]
    [InlineData("ü")]
    [InlineData("雪")]
    [InlineData("📀")]
    public void A_text_of_any_length_fits_and_is_cut_between_characters(string character)
    {
        for (var count = 1; count <= Limit + 1; count++)
        {
            var text = string.Concat(Enumerable.Repeat(character, count));

            var fitted = Summaries.Fit(text);

            Assert.InRange(DataConverter.Default.PayloadConverter.ToPayload(fitted).CalculateSize(), 1, Limit);
            Assert.True(fitted == text || (fitted.EndsWith('…') && text.StartsWith(fitted[..^1], StringComparison.Ordinal) && (fitted.Length - 1) % character.Length == 0), fitted);
            Assert.True(fitted == text || fitted.Length > count / 2 || fitted.Length > 20, $"too little is left of {count}: {fitted}");
        }
    }

    [Fact]
    public void A_text_that_fits_stays_as_it_is() => Assert.Equal("cut /dev/vdb 20 GiB on host-1@rbd", Summaries.Fit("cut /dev/vdb 20 GiB on host-1@rbd"));

    [Theory]
    [InlineData(GroupCut.Never)]
    [InlineData(GroupCut.Always)]
    public async Task An_image_of_volumes_with_long_names_is_made_and_no_summary_of_its_run_is_refused(GroupCut group)
    {
        var device = "/dev/disk/by-id/" + string.Concat(Enumerable.Repeat("磁盘📀", 60));
        var cloud = fixture.Use(new()
        {
            GroupCut = group,
            Damage = prepared => prepared with { Draft = prepared.Draft with { Volumes = [.. prepared.Draft.Volumes.Select(v => v with { DeviceName = device })] } },
        });

        var run = await fixture.StartAsync(cloud.Request());
        await run.GetResultAsync();

        var summaries = (await run.FetchHistoryAsync()).Events.Select(e => e.UserMetadata?.Summary).OfType<Payload>().ToList();
        Assert.All(summaries, s => Assert.InRange(s.CalculateSize(), 1, Limit));
        var cuts = summaries.Select(s => s.Data.ToStringUtf8()).Where(s => s.StartsWith("\"cut /dev/disk/", StringComparison.Ordinal)).ToList();
        Assert.Equal(group is GroupCut.Always ? 1 : cloud.Volumes.Count, cuts.Count);
        Assert.All(cuts, c => Assert.DoesNotContain(Rune.ReplacementChar.ToString(), System.Text.Json.JsonSerializer.Deserialize<string>(c)!, StringComparison.Ordinal));
    }
}
