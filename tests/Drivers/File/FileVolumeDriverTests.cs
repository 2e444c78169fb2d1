namespace SnapshotFlow.Tests.Drivers.File;

/// <summary>On whatever file system temporary files are.</summary>
public sealed class FileVolumeDriverTests : FileDriverContract
{
    protected override string Parent => Path.GetTempPath();
}

/// <summary>On file systems that share blocks between files.</summary>
public sealed class FileVolumeDriverOnBtrfsTests(BtrfsFileSystem btrfs) : FileDriverContract, IClassFixture<BtrfsFileSystem>
{
    protected override string Parent => btrfs.Directory;
}

/// <inheritdoc cref="FileVolumeDriverOnBtrfsTests"/>
public sealed class FileVolumeDriverOnXfsTests(XfsFileSystem xfs) : FileDriverContract, IClassFixture<XfsFileSystem>
{
    protected override string Parent => xfs.Directory;
}
